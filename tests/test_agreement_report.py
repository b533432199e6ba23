import base64
import io
import random
from dataclasses import replace

import numpy as np
import pytest
from agreement_table import MOMENT, Made, deleted, kept, table_of
from agreement_table import added as drawn
from PIL import Image
from random_tables import random_table
from verdict_data import VERSION, added, annotation, detection, event, moved, predict, relabelled

from backend.agreement import report as report_module
from backend.agreement.figures import AgreementReport, agreement_report
from backend.agreement.filter_reach import not_reached
from backend.agreement.parameters import AgreementParameters
from backend.agreement.report import render
from backend.agreement.table import VerdictTable
from backend.database.connection import Database
from backend.settings import Settings
from backend.suggestions.maps import MapStorage, keep_first_maps
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters

HOSTILE = (
    "<script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title = 'taken'\">",
    "</text></svg><script>document.title = 'taken'</script>",
    "$\\frac{1}$ & \"quotes\" 'too'",
    "眼睛",
    "a label so long that it would push every plot and every table aside " * 3,
)
CAPTIONS = {"coarse": "class activation", "fine": "corners"}


def picture() -> str:
    """The address of a small picture that holds the picture itself."""
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[..., 0] = np.arange(100)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@pytest.fixture
def report(database: Database) -> str:
    settings = Settings(label_studio_url="http://label-studio.example")
    recorder = Recorder(settings, database)
    for task, label in enumerate(HOSTILE, start=1):
        found = detection((10, 10), (30, 30), (60, 60), class_name=label)
        regions = predict(database, task, found, image=picture())
        left = [relabelled(regions[0], label), moved(regions[1], 7), added(5, 90, label)]
        event(database, annotation(task, left, made=2000 * task))
        event(database, annotation(task, left[:2], number=100 + task, annotator=2))
        maps = {"coarse": np.eye(9), "fine": np.ones((9, 9))}
        captions = {} if task == 1 else CAPTIONS
        keep_first_maps(
            MapStorage(database), task, VERSION, replace(found, maps=maps, captions=captions)
        )
    event(database, {"id": 1, "task": None})
    recorder.drain()
    return render(settings, database, Filters(), nonce="once", served=True)


def test_hostile_names_are_shown_as_they_are_and_run_nothing(report, browser_page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report)
    asked: list[str] = []
    problems: list[str] = []
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.on("pageerror", lambda error: problems.append(str(error)))
    browser_page.on("console", lambda line: problems.append(line.text))
    browser_page.goto(path.as_uri())
    assert browser_page.title() == "Agreement of annotators and detector"
    assert problems == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    shown = browser_page.locator("#p-1").inner_text()
    for label in HOSTILE:
        assert " ".join(label.split()) in " ".join(shown.split())
    assert browser_page.locator("svg script, img").count() == 0
    # Nothing sticks out to the right.
    width = browser_page.evaluate("document.documentElement.scrollWidth")
    assert width <= browser_page.viewport_size["width"]


def test_a_table_is_sorted_by_the_column_whose_heading_is_pressed(report, browser_page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report)
    browser_page.goto(path.as_uri())
    browser_page.get_by_role("tab", name="annotator").click()
    panel = browser_page.locator("#p-3")

    def names() -> list[str]:
        return panel.locator("tbody tr td:first-child").all_inner_texts()

    panel.get_by_role("button", name="added").click()
    assert names() == ["1", "2"]
    panel.get_by_role("button", name="added").click()
    assert names() == ["2", "1"]
    assert panel.locator("th[aria-sort=ascending]").count() == 1
    assert not browser_page.locator("#p-1").is_visible()


def test_the_worst_tasks_are_drawn_over_their_images_and_lead_to_label_studio(
    report, browser_page, tmp_path
):
    path = tmp_path / "report.html"
    path.write_text(report)
    browser_page.goto(path.as_uri())
    tasks = browser_page.locator(".tasks article")
    assert tasks.count() == len(HOSTILE)
    link = tasks.first.locator("a").get_attribute("href")
    assert link.startswith("http://label-studio.example/projects/3/data?task=")
    assert tasks.first.locator("svg image").count() == 1


def test_the_stages_of_a_detection_name_the_maps_that_were_computed(report, browser_page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(report)
    browser_page.goto(path.as_uri())
    stages = browser_page.locator(".stages")
    assert stages.count() == 4
    assert stages.first.locator("svg").count() == 5
    captions = [stages.nth(place).inner_text().split("\n") for place in range(4)]
    # The maps of the first task were kept without captions.
    unknown = ["image", "coarse scale", "fine scale", "detections", "annotations"]
    known = ["image", "coarse: class activation", "fine: corners", "detections", "annotations"]
    assert captions == [unknown, known, known, known]


def test_the_parameters_behind_the_figures_are_listed(database, browser_page, tmp_path):
    path = tmp_path / "report.html"
    parameters = AgreementParameters(tau=0.125, alphas=(0.1, 0.2))
    path.write_text(render(Settings(), database, Filters(), parameters=parameters))
    browser_page.goto(path.as_uri())
    browser_page.get_by_text("Parameters of these figures").click()
    rows = [
        row.locator("td").all_inner_texts()
        for row in browser_page.locator("#parameters tbody tr").all()
    ]
    described = parameters.described()
    assert [row[0] for row in rows] == [each.name.replace("_", " ") for each in described]
    assert [row[2] for row in rows] == [each.documentation for each in described]
    values = {name: value for name, value, _ in rows}
    assert (values["tau"], values["alphas"], values["near"]) == ("0.125", "0.1, 0.2", "0.05")


def test_a_report_of_nothing_says_so(database, browser_page, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render(Settings(), database, Filters()))
    browser_page.goto(path.as_uri())
    assert browser_page.get_by_text("No annotation that started from suggestions yet").count()


class NoPictures:
    """Pictures of nothing, as the tables of these tests are in no database."""

    def __init__(self, *_: object) -> None:
        self.worst_tasks = self.stages = self.predictions_with_maps = lambda *_: []


def reported(table: VerdictTable) -> AgreementReport:
    return agreement_report(table, AgreementParameters(), made_at=MOMENT)


def test_what_a_label_filter_does_not_reach_and_what_is_not_listed_is_said(database):
    regions = predict(database, 1, detection(*[(2 * n, 50) for n in range(1, 19)]))
    event(
        database, annotation(1, [relabelled(each, f"l{n}") for n, each in enumerate(regions[:18])])
    )
    Recorder(Settings(), database).drain()
    page = render(Settings(), database, Filters(label="l3"))
    for each in not_reached(Filters(label="l3")):
        if each.section not in ("landmarks", "stages", "model_versions"):  # none to show
            assert each.text in page
    page = render(Settings(), database, Filters(), parameters=AgreementParameters(most_groups=17))
    assert "data-not-reached" not in page
    assert "(the 17 largest; 2 more are not listed)" in page
    assert "by suggested label; the 16 largest of 19" in page


def test_numbers_that_round_to_0_have_no_sign():
    assert report_module.format_share({"value": -0.0001}) == "0.0 %"
    assert report_module.format_number({"value": 1234.5}, 1) == "1,234.5"
    assert report_module.format_interval({"low": -0.0002, "high": 0.1}) == "0.0 to 10.0"


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_of_the_page_or_its_tables(browser_page, tmp_path, width, monkeypatch):
    """Tables may scroll on a phone, and not on a screen."""
    table = random_table(random.Random(3))
    monkeypatch.setattr(report_module, "measure_agreement", lambda *_: reported(table))
    monkeypatch.setattr(report_module, "ReportPictures", NoPictures)
    monkeypatch.setattr(report_module, "AgreementQueries", NoPictures)
    path = tmp_path / "report.html"
    path.write_text(render(Settings(), None, Filters()))
    browser_page.set_viewport_size({"width": width, "height": 900})
    browser_page.goto(path.as_uri())
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
    for tab in browser_page.get_by_role("tab").all() if width == 1280 else []:
        tab.click()
        cut = browser_page.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
            ".length"
        )
        assert cut == 0
    browser_page.set_viewport_size({"width": 1280, "height": 900})


def test_an_image_that_cannot_be_had_leaves_its_points_and_a_reason(database):
    settings = Settings(label_studio_url="http://127.0.0.1:1")
    regions = predict(database, 1, detection((10, 10)))
    event(database, annotation(1, [moved(regions[0], 20)]))
    Recorder(settings, database).drain()
    page = render(settings, database, Filters())
    assert "The image cannot be fetched: " in page
    assert "<circle" in page


def test_the_first_card_says_what_suggestions_save_and_a_line_how_many_images_are_needed(
    browser_page, tmp_path, monkeypatch
):
    wrong, right = [deleted((10, 10))] * 3, [kept((10, 10), by=5), drawn((30, 30))]
    table = table_of(*(Made(task, wrong + right * (task % 2)) for task in range(8)))
    monkeypatch.setattr(report_module, "measure_agreement", lambda *_: reported(table))
    monkeypatch.setattr(report_module, "ReportPictures", NoPictures)
    monkeypatch.setattr(report_module, "AgreementQueries", NoPictures)
    path = tmp_path / "report.html"
    path.write_text(render(Settings(), None, Filters()))
    browser_page.goto(path.as_uri())
    card = browser_page.locator(".card").first.inner_text()
    # Images in turn take 3 actions against 0 and 6 against 4.
    assert "Suggestions cost your team 2.5 actions an image" in card
    assert "-125.0 %" in card
    assert "4.5 actions an image with suggestions, 2.0 from nothing" in card
    line = browser_page.locator("#enough").inner_text()
    assert "an interval of ± 5 points" in line
    assert "cannot be told: all suggestions were judged alike." in line


def test_the_page_shows_the_work_saved_by_images_learnt_once_there_are_two_steps(monkeypatch):
    monkeypatch.setattr(report_module, "ReportPictures", NoPictures)
    monkeypatch.setattr(report_module, "AgreementQueries", NoPictures)
    before = Made(1, [deleted((10, 10)), drawn((20, 20))])
    after = Made(2, [kept((10, 10))], model_version="small-1+12-1a2b3c4d")
    pages = [
        render(Settings(), None, Filters(), report=reported(table_of(*made)))
        for made in ([before], [before, after])
    ]
    assert ["by-images-learnt" in page for page in pages] == [False, True]
    assert '<td data-value="12 to 19">12 to 19</td>' in pages[1]
    assert "By label, by images learnt, and what each action costs" in pages[1]


def test_the_page_counts_annotations_that_its_figures_are_not_about(
    browser_page, tmp_path, monkeypatch
):
    table = table_of(
        Made(1, [deleted((10, 10))], first=[kept((10, 10))], edited=True),
        Made(2, [deleted((10, 10))], first_known=False, edited=True),
        Made(3, [kept((10, 10))]),
        Made(4, [drawn((10, 10))], from_scratch=True),
        Made(5, [drawn((10, 10))], shown=False),
    )
    monkeypatch.setattr(report_module, "measure_agreement", lambda *_: reported(table))
    monkeypatch.setattr(report_module, "ReportPictures", NoPictures)
    monkeypatch.setattr(report_module, "AgreementQueries", NoPictures)
    path = tmp_path / "report.html"
    path.write_text(render(Settings(), None, Filters()))
    browser_page.goto(path.as_uri())
    line = browser_page.locator("#about").inner_text()
    assert "the 3 annotations that began as the suggestions. 1 more were drawn from scratch" in line
    assert "1 while these were withheld, and 0 were never compared" in line
    assert "2 were edited by others" in line
    assert "1 are known only as others saved them" in line
    heading = browser_page.locator("th", has_text="edited by others").first
    assert heading.count() == 1
