"""Failing requests, for a program and over real HTTP for a person with a browser."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from label_studio_fake import CONFIG, UID
from playwright.sync_api import Page, expect
from rq import Queue
from werkzeug.serving import make_server

from backend.database.connection import Database
from backend.settings import Settings
from backend.web.app import create_app
from backend.web.error_answers import LARGEST_BODY

# What Firefox and Chromium ask for.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Where the application is served, by a real HTTP server."""
    with make_server("127.0.0.1", 0, app, threaded=True) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("annotator=anna", "Expected annotator to be a user's number in Label Studio, such as 1"),
        ("since=2026-02-01&until=2026-01-01", "Expected since before until"),
        ("label=a&label=b", "Expected 'label' once, got it 2 times."),
        ("colour=red", "Expected filters among project, label"),
        ("since=вчера", "got 'вчера'."),
        ("since=\u202ebeak", "got '\\u202ebeak'."),  # would turn the rest of the line around
    ],
)
def test_a_browser_gets_a_readable_page_where_a_filter_means_nothing(address, query, expected):
    answer = requests.get(f"{address}/report?{query}", headers=BROWSER, timeout=30)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert expected in answer.text.replace("&#39;", "'")
    assert 'href="./report"' in answer.text


def test_what_came_is_shown_as_text_never_as_markup(address):
    script = "<script>alert(1)</script>"
    query = {"since": script, "label": f'"{script}'}
    answer = requests.get(f"{address}/report", params=query, headers=BROWSER, timeout=30)
    assert answer.status_code == 400
    assert script not in answer.text
    assert "&lt;script&gt;" in answer.text


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
@pytest.mark.parametrize("path", ["/report", "/export", "/agreement"])
def test_a_program_gets_json_where_a_filter_means_nothing(address, path, accept):
    answer = requests.get(f"{address}{path}?annotator=anna", headers={"Accept": accept}, timeout=30)
    assert answer.status_code == 400
    assert "expected annotator" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/agreement?annotator=anna", "/jobs/1", "/training?page=%ff"])
def test_json_routes_answer_in_json_also_to_a_browser(address, path):
    answer = requests.get(f"{address}{path}", headers=BROWSER, timeout=30)
    assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/export?format=xls", 400, "This request cannot be answered"),
        ("/nowhere/at/all", 404, "There is no page at this address"),
    ],
)
def test_other_mistakes_of_a_person_are_answered_with_a_page(address, path, status, expected):
    answer = requests.get(f"{address}{path}", headers=BROWSER, timeout=30)
    assert answer.status_code == status
    assert expected in answer.text


def test_links_lead_back_to_the_backend_behind_a_prefix(address):
    answer = requests.get(f"{address}/nowhere/at/all", headers=BROWSER, timeout=30)
    assert 'href="../../report"' in answer.text
    assert 'href="../../"' in answer.text


def test_a_person_corrects_the_filter_on_the_page(address: str, browser_page: Page) -> None:
    browser_page.goto(f"{address}/report?annotator=anna&label=beak")
    expect(browser_page.get_by_role("heading")).to_have_text(
        "The report cannot be filtered like this"
    )
    browser_page.get_by_label("annotator").fill("1")
    browser_page.get_by_role("button", name="Show").click()
    expect(browser_page).to_have_url(f"{address}/report?label=beak&annotator=1")
    expect(browser_page.get_by_role("heading", level=1)).to_have_text(
        "Do annotators agree with the detector?"
    )
    browser_page.goto(f"{address}/report?colour=red")
    browser_page.get_by_role("link", name="Report without filters").click()
    expect(browser_page).to_have_url(f"{address}/report")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_about_a_mistake_fits_a_screen_and_a_phone(
    address: str, browser_page: Page, width: int
) -> None:
    browser_page.set_viewport_size({"width": width, "height": 900})
    browser_page.goto(f"{address}/report?label={'long' * 60}&since=yesterday")
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_browser_is_asked_for_the_password_and_told_so(
    database: Database, queue: Queue, unread_weights: Path
) -> None:
    settings = Settings(
        model_weights=str(unread_weights), basic_auth_user="ls", basic_auth_pass="secret"
    )
    answer = create_app(settings, database, queue).test_client().get("/report", headers=BROWSER)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="keypoints"'
    assert "BASIC_AUTH_USER" in answer.text


def test_a_browser_reads_that_the_database_cannot_be_used(
    queue: Queue, unread_weights: Path, tmp_path: Path
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    client = create_app(Settings(model_weights=str(unread_weights)), database, queue).test_client()
    answer = client.get("/report", headers=BROWSER)
    database.close()
    assert answer.status_code == 503
    assert "The database cannot be used now: try again soon." in answer.text


@pytest.mark.parametrize(
    ("method", "address", "status"), [("GET", "/nowhere", 404), ("GET", "/predict", 405)]
)
def test_a_wrong_address_is_answered_in_json(
    client: FlaskClient, method: str, address: str, status: int
) -> None:
    answer = client.open(address, method=method)
    assert answer.status_code == status
    assert answer.json["error"]  # type: ignore[index]


def test_a_body_over_the_limit_is_refused(app: Flask, client: FlaskClient) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 1000
    answer = client.post("/predict", data=b" " * 1001)
    assert answer.status_code == 413
    assert str(LARGEST_BODY) in answer.json["error"]  # type: ignore[index]


def test_an_unexpected_error_tells_the_caller_nothing_and_the_log_everything(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/broken")
    def broken() -> None:
        raise KeyError("a secret of ours")

    answer = app.test_client().get("/broken")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "a secret of ours" in caplog.text
    assert "GET /broken" in caplog.text


def test_an_unreachable_database_is_reported(
    queue: Queue, unread_weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.sqlite3'}")
    client = create_app(Settings(model_weights=str(unread_weights)), database, queue).test_client()
    body = {"tasks": [], "project": UID, "label_config": CONFIG}
    answer = client.post("/predict", json=body)
    database.close()
    assert answer.status_code == 503
    assert "database" in answer.json["error"]  # type: ignore[index]
    assert "no such table" in caplog.text
