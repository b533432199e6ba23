"""Every filter on every section: the figures are those of a project with nothing else in it.

The filtered figures of a project are compared with the figures of another one, to which only the
annotations were sent that pass the filter. Where they differ, the report says so.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import pytest
from verdict_data import (
    CONFIG,
    MADE,
    PROJECT,
    added,
    annotation,
    detection,
    event,
    moved,
    predict,
    relabelled,
)

from backend.agreement.figures import measure_agreement
from backend.agreement.filter_reach import NOT_REACHED, not_reached
from backend.agreement.report import render
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.holdout import HoldoutStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters
from backend.verdicts.storage import EventStorage

OTHER = 4  # a second project's id
STAMP = int(MADE.timestamp())
LABELS = ("car", "nose", "tail")
NO_SECTIONS = {"made_at", "filters", "not_reached_by_filters", "method", "summary"}


@dataclass(frozen=True)
class Sent:
    """An annotation of a project, and what filters ask about it."""

    project: int
    version: str
    body: dict[str, Any]

    @property
    def updated_at(self) -> str:
        return self.body["updated_at"]


def predictions(database: Database) -> dict[tuple[int, int], list[dict[str, Any]]]:
    """Predict forty tasks of two projects and versions; every fifth is withheld."""
    draw, regions = random.Random(0), {}
    for project in (3, OTHER):
        uid = f"{project}.{STAMP}"
        ProjectStorage(database).save_label_config(uid, CONFIG)
        HoldoutStorage(database).withhold(uid, range(5, 41, 5), now())
        for task in range(1, 41):
            places = [(draw.uniform(5, 95), draw.uniform(5, 95)) for _ in range(3)]
            version = "a" if task % 2 else "b"
            regions[project, task] = predict(
                database, task, detection(*places), uid=uid, version=version, deliver=task % 5 > 0
            )
            if task % 3 == 0 and task % 5:
                other = "b" if task % 2 else "a"
                predict(database, task, detection((9, 9)), uid=uid, version=other, deliver=False)
    return regions


def annotations(regions: dict[tuple[int, int], list[dict[str, Any]]]) -> list[Sent]:
    """Two annotators on a third of the tasks, any verdicts, skipped and unusable ones as well."""
    draw, found = random.Random(1), []
    for (project, task), suggested in regions.items():
        for annotator in (1, 2) if task % 3 == 0 else (1 + task % 2,):
            result = [
                draw.choice([each, moved(each, draw.uniform(0, 9)), relabelled(each, label)])
                for each, label in zip(suggested[:3], draw.sample(LABELS, 3), strict=True)
            ][draw.randint(0, 1) :]
            result.append(added(draw.uniform(5, 95), 50, draw.choice(LABELS)))
            if task % 11 == 0:
                result.append({**added(5, 5), "id": "bad", "value": {"x": "far", "y": 1}})
            body = annotation(
                task,
                result,
                number=10_000 * project + 100 * task + annotator,
                annotator=annotator,
                made=1440 * task,
                parent=None if task % 5 == 0 else 7,
                lead_time=draw.uniform(3, 90),
                was_cancelled=task % 13 == 0,
                project=project,
            )
            found.append(Sent(project, "a" if task % 2 else "b", body))
    for annotator in (1, 2):  # of a task that was never predicted
        body = annotation(
            99, [added(5, 5)], number=annotator, annotator=annotator, parent=None, made=9
        )
        found.append(Sent(3, "none", body))
    return found


def send(database: Database, sent: list[Sent]) -> None:
    for each in sent:
        project = {**PROJECT, "id": each.project}
        action = "ANNOTATION_CREATED"
        EventStorage(database).save_event(
            action, each.project, {"action": action, "annotation": each.body, "project": project}
        )


@pytest.fixture(scope="module")
def world(migrated_sqlite, tmp_path_factory) -> tuple[Database, list[Sent]]:
    path = tmp_path_factory.mktemp("world") / "backend.sqlite3"
    path.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{path}")
    sent = annotations(predictions(database))
    send(database, sent)
    event(database, {"id": 1, "task": None})
    Recorder(Settings(), database).drain()
    return database, sent


@pytest.fixture
def part(migrated_sqlite, tmp_path) -> Callable[[list[Sent]], Database]:
    """Return a database with the same predictions to which only some annotations were sent."""

    def make(sent: list[Sent]) -> Database:
        path = tmp_path / "part.sqlite3"
        path.write_bytes(migrated_sqlite.read_bytes())
        database = Database(f"sqlite:///{path}")
        predictions(database)
        send(database, sent)
        Recorder(Settings(), database).drain()
        return database

    return make


def figures(database: Database, filters: Filters = Filters()) -> dict[str, Any]:  # noqa: B008
    return without_ids(measure_agreement(database, filters).as_json())


def without_ids(value: Any) -> Any:
    """Leave out the ids of states, which depend on the order of arrival."""
    if isinstance(value, dict):
        return {name: without_ids(each) for name, each in value.items() if name != "states"}
    return [without_ids(each) for each in value] if isinstance(value, list) else value


def chosen(name: str, sent: list[Sent]) -> tuple[Filters, list[Sent]]:
    """Return a filter and the annotations that pass it."""
    middle = sorted(each.updated_at for each in sent)[len(sent) // 2]
    moment = datetime.fromisoformat(middle)
    return {
        "project": (Filters(project="4"), [each for each in sent if each.project == OTHER]),
        "annotator": (
            Filters(annotator=2),
            [each for each in sent if each.body["completed_by"] == 2],
        ),
        "model_version": (
            Filters(model_version="a"),
            [each for each in sent if each.version == "a"],
        ),
        "since": (Filters(since=moment), [each for each in sent if each.updated_at >= middle]),
        "until": (Filters(until=moment), [each for each in sent if each.updated_at < middle]),
    }[name]


@pytest.mark.parametrize("name", ["project", "annotator", "model_version", "since", "until"])
def test_filtered_figures_are_those_of_the_annotations_that_pass(world, part, name):
    database, sent = world
    filters, passing = chosen(name, sent)
    assert 0 < len(passing) < len(sent)
    filtered, alone, everything = (
        figures(database, filters),
        figures(part(passing)),
        figures(database),
    )
    assert filtered.keys() == alone.keys()
    different = {
        section for section in filtered.keys() - NO_SECTIONS if filtered[section] != alone[section]
    }
    said = {each["section"] for each in filtered["not_reached_by_filters"]}
    assert different <= said, different
    # Nothing is said to be out of reach that the filter changes like everything else.
    for section in said - {"people", "pairs", "model_versions", "events"}:
        assert section in ("overall", "groups", "not_used")
    if name == "project":
        assert said == set()
    else:
        assert filtered["events"] == everything["events"]
    # The comparison can fail: the filter leaves other figures than everything.
    assert filtered["overall"] != everything["overall"]
    assert everything["groups"]["elsewhere"] == 2


def of_label(groups: list[dict[str, Any]], label: str) -> dict[str, Any]:
    [found] = [each for each in groups if each["name"] == label]
    return found


def test_the_figures_of_a_label_filter_are_those_of_the_label_in_the_report_on_everything(world):
    database, _ = world
    everything = figures(database)
    filtered = figures(database, Filters(label="nose"))
    row = of_label(everything["by"]["label"], "nose")
    same = set(row) - {"name", "points", "oks", "images"}
    assert {name: filtered["overall"][name] for name in same} == {name: row[name] for name in same}
    # A point that was relabelled counts in the row of the suggested label alone.
    names = ("suggested", "judged", "accepted", "moved", "deleted", "added")
    assert [filtered["overall"]["points"][name] for name in names] == [
        row["points"][name] for name in names
    ]
    assert of_label(filtered["by"]["label"], "nose")["f1"] == row["f1"]
    assert filtered["labels"] == [
        each for each in everything["labels"] if "nose" in (each["suggested"], each["final"])
    ]
    [found] = filtered["landmarks"]
    [expected] = [each for each in everything["landmarks"] if each["label"] == "nose"]
    assert found["found"] == expected["found"]
    assert expected["lift"]["value"] > 0
    assert (found["lift"]["value"], found["lift"]["reason"]) == (
        None,
        "not known under a filter by label",
    )


# What a filter by label leaves as it is, and what the page and the JSON say about it.
UNREACHED = {
    "enough_withheld_time",
    "groups",
    "people",
    "pairs",
    "model_versions",
    "not_used",
    "events",
}


def test_what_a_label_filter_does_not_reach_is_as_without_it(world):
    database, _ = world
    everything = figures(database)
    filtered = figures(database, Filters(label="nose"))
    for section in UNREACHED - {"not_used"}:
        assert filtered[section] == everything[section]
    for name in ("annotations", "images", "tasks", "annotators", "lead_time", "choices", "skipped"):
        assert filtered["overall"][name] == everything["overall"][name]
    assert filtered["anchoring"]["seconds"] == everything["anchoring"]["seconds"]
    said = {each["section"] for each in filtered["not_reached_by_filters"]}
    assert said == UNREACHED | {
        "overall",
        "work_saved",
        "costs",
        "by",
        "rubber_stamping",
        "annotators",
        "anchoring",
        "landmarks",
        "worst_tasks",
        "stages",
    }


@pytest.mark.parametrize("name", [each.name for each in fields(Filters)])
def test_each_section_of_the_page_says_what_a_filter_does_not_reach(
    world, name, browser_page, tmp_path
):
    """Each note stands in its own section, and no other filter is said to stop short."""
    database, sent = world
    filters = Filters(label="nose") if name == "label" else chosen(name, sent)[0]
    file = tmp_path / "report.html"
    file.write_text(render(Settings(), database, filters, nonce="once"))
    browser_page.goto(file.as_uri())
    expected = sorted(each.text for each in not_reached(filters) if each.section != "stages")
    notes = browser_page.locator("[data-not-reached]")
    assert sorted(notes.all_inner_texts()) == expected
    assert (expected == []) == (name == "project")
    headings = {
        "annotators": "h-annotators",
        "people": "h-people",
        "pairs": "h-pairs",
        "model_versions": "h-versions",
        "events": "h-unused",
        "landmarks": "h-landmarks",
    }
    for each in not_reached(filters):
        if each.section in headings:
            section = browser_page.locator(f"section:has(#{headings[each.section]})")
            assert each.text in section.inner_text()


def test_a_text_that_several_filters_share_is_said_once():
    found = not_reached(Filters(annotator=1, since=datetime(2026, 1, 1)))
    [events] = [each for each in found if each.section == "events"]
    assert events.filters == ("annotator", "since")
    assert not_reached(Filters()) == []


def test_every_filter_that_stops_short_is_a_filter():
    names = {each.name for each in fields(Filters)}
    assert {name for notes in NOT_REACHED.values() for name in notes} <= names
