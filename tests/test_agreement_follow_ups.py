"""What became of points that followed a placed one, from the log to the report."""

from typing import Any

import pytest
from label_studio_fake import CONFIG
from verdict_data import UID, added, annotation, detection, moved, predict

from backend.agreement.clustered import share
from backend.agreement.exports.statistics_table import statistics_rows
from backend.agreement.figures import AgreementReport, measure_agreement
from backend.agreement.follow_ups import follow_ups
from backend.agreement.limits import Limits
from backend.agreement.parameters import AgreementParameters
from backend.agreement.records import FollowUpCount
from backend.agreement.report import render
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.interactive_records import PlacedSoFar
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.verdicts.judging import DELETED, MOVED_AND_RELABELLED
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters, State
from backend.verdicts.storage import VerdictStorage

PARAMETERS = AgreementParameters()


def followed(region_id: str, x: float, label: str) -> dict[str, Any]:
    return {**added(x, 30, label, region_id), "origin": "prediction", "score": 0.75}


def annotate(database: Database, task: int) -> None:
    """Place a point, keep the first of what follows, move the second, and delete the third."""
    if ProjectStorage(database).project(UID) is None:
        ProjectStorage(database).save_label_config(UID, CONFIG)
    [region, *_] = predict(database, task, detection((80, 20)))
    placed = added(10, 10, region_id=f"placed{task}")
    sent = [followed(f"{name}{task}", 20.0 + 20 * n, name) for n, name in enumerate("abc")]
    storage = InteractiveStorage(database)
    request = PlacedSoFar(100, 100, None, {}, (10, 10), (placed["id"],))
    storage.record_sent(storage.add(UID, task, f"/data/upload/{task}.png", request), sent)
    result = [region, placed, sent[0], moved(sent[1], dx=5)]
    state = Recorder(Settings(), database).state_of(UID, annotation(task, result), "sync")
    assert isinstance(state, State)
    VerdictStorage(database).record([Entry(states=[state])], now())


def figures(database: Database, **filters: Any) -> AgreementReport:
    return measure_agreement(database, Filters(**filters))


def test_points_that_followed_are_counted_by_themselves(any_database: Database) -> None:
    for task in range(1, 21):
        annotate(any_database, task)
    report = figures(any_database)
    found = report.as_json()["follow_ups"]
    assert (found["points"], found["images"]) == (60, 20)
    for name in ("kept", "moved", "deleted"):
        each = found[name]
        assert (each["value"], each["n"], each["images"]) == (pytest.approx(1 / 3), 60, 20)
        assert each["low"] < 1 / 3 < each["high"]
        assert "Wilson" in each["method"]
    assert found["relabelled"]["value"] == 0
    # For the suggestions that the tasks were opened with, they count as added.
    assert report.as_json()["overall"]["points"]["suggested"] == 20
    rows = {(row[0], row[2]): row for row in statistics_rows(report.as_json())}
    assert rows["follow_ups", "kept"][3:7] == [
        found["kept"][name] for name in ("value", "low", "high", "n")
    ]


def test_a_filter_by_label_leaves_the_points_with_that_label(any_database: Database) -> None:
    for task in range(1, 4):
        annotate(any_database, task)
    found = figures(any_database, label="b").follow_ups
    assert (found.points, found.moved.value, found.kept.value) == (3, 1.0, 0.0)
    assert figures(any_database, project="another").follow_ups.points == 0


def test_shares_take_the_image_as_the_cluster() -> None:
    counts = [
        FollowUpCount(("3.1", f"/{number}.png"), verdict, number + 1)
        for number in range(12)
        for verdict in (DELETED, MOVED_AND_RELABELLED)
    ]
    found = follow_ups(counts, PARAMETERS)
    half = [number + 1 for number in range(12)]
    assert found.moved == found.deleted == share(half, [2 * each for each in half], Limits())
    assert (found.kept.value, found.relabelled.value) == (0.0, 0.0)


def test_without_any_there_is_nothing_to_tell() -> None:
    found = follow_ups([], PARAMETERS)
    assert (found.points, found.images, found.kept.value) == (0, 0, None)


def test_the_page_has_a_section_where_points_followed_and_none_elsewhere(
    any_database: Database,
) -> None:
    heading = "What became of points that followed a placed one?"
    assert heading not in render(Settings(), any_database, Filters())
    annotate(any_database, 1)
    page = render(Settings(), any_database, Filters())
    assert heading in page
    assert "3 points on 1 image followed" in page
