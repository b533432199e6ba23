"""Names that try to become markup, script or a formula, in pages, pictures and exports."""

import csv
import io
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from rq import Queue
from verdict_data import PROJECT as EVENT_PROJECT
from verdict_data import added, annotation, detection, moved, predict, relabelled
from web_server import served

from backend.agreement.exports.csv_export import FORMULA_STARTS, _spreadsheet_cell
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.storage import EventStorage
from backend.web.app import create_app

MARKUP = "\"'><script>alert(1)</script><svg onload=alert(1)><img src=x onerror=alert(1)>{{7*7}}&lt;"
FORMULA = '=HYPERLINK("http://evil.example";"click")'
HOSTILE_UID = '7.<script>alert(1)</script>"onclick=alert(1)'


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def expect_harmless(html: str) -> None:
    """No element, attribute or address comes from a name."""
    for tag, attributes in Elements(html).found:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert tag != "script" or attributes.get("nonce"), attributes
        assert (attributes.get("src") or "data:").startswith(("data:", "status.js")), attributes
        assert not (attributes.get("href") or "").lower().strip().startswith("javascript:")


@pytest.fixture
def url(any_database: Database, queue: Queue, unread_weights: Path) -> Iterator[str]:
    """A project whose labels, classes, images, reasons and versions are hostile."""
    chosen = Settings(model_weights=str(unread_weights), label_studio_url="http://127.0.0.1:1")
    events = EventStorage(any_database)
    for task, name in enumerate((MARKUP, FORMULA), 1):
        found = detection((10, 10), (50, 50), class_name=name)
        image = f"/data/{name}.png"
        regions = predict(any_database, task, found, version=name[:50], image=image)
        result = [relabelled(regions[0], name), moved(regions[1], 20), added(30, 30, name)]
        body = {"annotation": annotation(task, result, annotator=task), "project": EVENT_PROJECT}
        events.save_event("ANNOTATION_CREATED", 3, {"action": "ANNOTATION_CREATED", **body})
    ProjectStorage(any_database).save_label_config(HOSTILE_UID, MARKUP)
    regions = predict(any_database, 9, detection((1, 1)), uid=HOSTILE_UID)
    Recorder(chosen, any_database).drain()
    stored = PredictionStorage(any_database)
    row = stored.of_task(9)[0]
    stored.fail(row.id, MARKUP)
    with served(create_app(chosen, any_database, queue)) as address:
        yield address


PAGES = ("/", "/report", "/report?project=3", f"/report?label={MARKUP}", f"/{MARKUP}")


def test_no_name_becomes_markup_in_a_page(url: str) -> None:
    seen = ""
    for path in PAGES:
        answer = requests.get(url + path, headers={"Accept": "text/html"}, timeout=120)
        assert answer.status_code in (200, 400, 404), path
        assert answer.headers["Content-Type"].startswith("text/html")
        expect_harmless(answer.text)
        seen += answer.text
    assert "&lt;script&gt;alert(1)" in seen, "the names are there, as text"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/jobs", "/jobs/1", "/training", "/agreement", "/metrics", "/versions"),
        *(f"/export?format={name}" for name in ("json", "jsonl", "coco", "csv", "parquet")),
    ],
)
def test_no_other_answer_is_taken_for_a_page(url: str, path: str) -> None:
    answer = requests.get(url + path, headers={"Accept": "*/*"}, timeout=120)
    assert answer.status_code == 200
    assert not answer.headers["Content-Type"].startswith(("text/html", "image/"))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_no_name_is_a_formula_in_the_table_that_a_person_downloads(url: str) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for what in ("verdicts", "statistics"):
        address = f"{url}/export?format=csv&what={what}"
        text = requests.get(address, headers=browser, timeout=120).content.decode("utf-8-sig")
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        for cell in cells:
            is_number = cell.lstrip("-").replace(".", "", 1).replace("e-", "", 1).isdigit()
            assert is_number or not cell.startswith(FORMULA_STARTS), cell
        if what == "verdicts":
            assert f"'{FORMULA}" in cells
    exact = requests.get(f"{url}/export?format=csv&excel=0", headers=browser, timeout=120).text
    assert "'=HYPERLINK" not in exact
    program = requests.get(f"{url}/export?format=csv", timeout=120).text
    assert "'=HYPERLINK" not in program, "a program gets the text as the log has it"


@given(st.text(), st.sampled_from(FORMULA_STARTS))
def test_any_text_that_begins_like_a_formula_is_escaped(text: str, start: str) -> None:
    assert _spreadsheet_cell(start + text) == f"'{start}{text}"
