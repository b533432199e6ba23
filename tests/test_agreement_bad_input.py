"""What the report makes of filters that match nothing, of strange labels, and of very many."""

import json
import unicodedata

import pytest
from agreement_table import Made, added, deleted, kept
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page
from recorded_tables import record_tables
from verdict_data import annotation, detection, event, predict

MATCHING_NOTHING = [
    "project=99",
    "project=4.17",
    "label=never%20used",
    "label=%3Cscript%3E",
    "annotator=77",
    "model_version=none",
    "since=2999-01-01",
    "until=1999-01-01",
    "project=99&label=x&annotator=7",
]
LABELS = {
    "Arabic": "منقار الطائر",
    "Hebrew and digits": "מקור 12",
    "Chinese": "鸟的嘴巴",
    "Thai": "จะงอยปาก",
    "emoji": "🦜👨‍👩‍👧‍👦🏳️‍🌈",
    "combining": "b̶̢̛e̵͇͝a̸̭͝k̷͙̈́",
    "decomposed": unicodedata.normalize("NFD", "Schnäbel"),
    "right to left mark": "\u202ebeak\u202c",
    "very long": "beak" * 500,
    "long with spaces": "a beak " * 300,
    "HTML": "</td><script>document.title = 'taken'</script><b>",
    "quotes": "\"'`{{ 7 * 7 }}{% raw %}",
    "formula": "$\\frac{1}{2}$ & <br>",
    "blank": " ",
}


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def shown(app: Flask, browser_page: Page, tmp_path):
    """Return the page at an address in a browser, which must find nothing to complain about."""
    problems: list[str] = []
    browser_page.on("pageerror", lambda error: problems.append(str(error)))

    def show(path: str) -> Page:
        file = tmp_path / "report.html"
        file.write_text(app.test_client().get(path).text)
        browser_page.goto(file.as_uri())
        assert problems == []
        width = browser_page.evaluate("document.documentElement.scrollWidth")
        assert width <= browser_page.viewport_size["width"]
        return browser_page

    return show


@pytest.fixture
def one_annotation(database) -> None:
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    event(database, annotation(1, [regions[0]]))


@pytest.mark.parametrize("query", MATCHING_NOTHING)
def test_filters_that_match_nothing_give_a_page_that_says_so(client, one_annotation, query):
    page = client.get(f"/report?{query}")
    assert page.status_code == 200
    answer = client.get(f"/agreement?{query}")
    assert answer.status_code == 200
    first = "No suggestion has been judged yet."
    if query.startswith("label="):  # the annotation itself passes, its points do not
        first = "Nothing was suggested here that annotators could keep."
        assert answer.json["overall"]["annotations"] == 1
    else:
        assert "matches these filters" in page.text
        assert answer.json["overall"]["annotations"] == 0
    assert answer.json["overall"]["acceptance"]["untouched"]["value"] is None
    sentences = [each["text"] for each in answer.json["summary"]]
    assert sentences[0] == first
    assert first in page.text


def test_the_page_of_filters_that_match_nothing_can_be_used(one_annotation, shown):
    page = shown("/report?project=99&label=%3Cscript%3E")
    assert page.get_by_text("matches these filters").is_visible()
    assert page.locator("input[name=label]").input_value() == "<script>"
    assert page.locator("figure").count() == 0


def test_a_log_of_skipped_tasks_alone_has_a_page_that_says_so(client, database, shown):
    for task in range(1, 4):
        predict(database, task, detection((10, 10)))
        event(database, annotation(task, [], was_cancelled=True))
    found = client.get("/agreement").json
    assert (found["overall"]["annotations"], found["overall"]["skipped"]) == (0, 3)
    page = shown("/report")
    note = page.get_by_text("No annotation that started from suggestions yet.")
    assert "3 annotations were skipped." in note.inner_text()


@pytest.mark.parametrize("name", LABELS)
def test_a_label_of_any_script_is_shown_as_it_is(client, database, shown, name):
    label = LABELS[name]
    points = [kept((10, 10), label), deleted((30, 30), label), added((50, 50), f"{label}2")]
    record_tables(database, {"3.1": ([Made(task, points) for task in range(6)], [])})
    found = client.get("/agreement").json
    assert sorted(each["name"] for each in found["by"]["label"]) == sorted([label, f"{label}2"])
    filtered = client.get("/agreement", query_string={"label": f"{label}2"}).json
    assert filtered["overall"]["points"]["added"] == 6
    page = shown("/report")
    assert page.title() == "Agreement of annotators and detector"
    names = page.locator("#p-1 tbody tr td:first-child").all_text_contents()
    assert sorted(names) == sorted([label, f"{label}2"])
    assert page.locator("svg script, main b b").count() == 0
    export = client.get("/export?format=csv&what=statistics").data.decode("utf-8-sig")
    assert label.split("\n")[0].strip('"') in export.replace('""', '"')


def test_ten_thousand_labels_fit_on_a_page_that_says_what_it_leaves_out(client, database, shown):
    made = [
        Made(
            task,
            [
                kept((5 * n, 50), f"label {20 * task + n}", by=n % 3, final_label=final)
                for n in range(20)
                for final in [f"label {(7 * (20 * task + n)) % 10_000}" if n % 4 == 0 else None]
            ],
            annotator=task % 60,
            class_name=f"class {task}",
        )
        for task in range(500)
    ]
    record_tables(database, {"3.1": (made, [])})
    answer = client.get("/agreement")
    assert answer.status_code == 200
    assert len(answer.data) < 2_000_000
    assert answer.json["overall"]["points"]["judged"] == 10_000
    assert answer.json["groups_left_out"]["label"] == 10_000 - 50
    assert len(answer.json["labels"]) <= 1600
    assert len(answer.json["landmarks"]) <= 200
    page = shown("/report")
    text = page.locator("main").inner_text()
    assert "(the 50 largest; 9,950 more are not listed)" in text
    assert "the 16 largest of 10000" in text
    assert "at most 12 labels a side, the most frequent" in text
    assert "classes that are annotated most" in text
    assert len(page.content()) < 3_000_000
    one = client.get("/agreement?label=label+4").json
    assert one["overall"]["points"]["judged"] >= 1
    assert json.dumps(one["summary"])
