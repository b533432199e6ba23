"""Verdicts on suggestions that followed what the annotator had placed."""

from typing import Any

import pytest
from sqlalchemy import func, select
from verdict_data import UID, added, annotation, detection, moved, predict

from backend.database.connection import Database
from backend.settings import Settings
from backend.suggestions.interactive_records import PlacedSoFar
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.verdicts.follow_ups import FOLLOW_UP
from backend.verdicts.judging import Verdict
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, State
from backend.verdicts.tables import verdicts

TASK = 1


def followed(x: float, y: float, region_id: str, label: str = "nose") -> dict[str, Any]:
    return {**added(x, y, label, region_id), "origin": "prediction", "score": 0.75}


NOSE, TAIL = followed(30, 30, "follow0001"), followed(60, 60, "follow0002", "tail")
PLACED = added(10, 10, region_id="placed0001")


@pytest.fixture
def recorder(database: Database) -> Recorder:
    return Recorder(Settings(), database)


def answer(recorder: Recorder, *sent: dict[str, Any], prompts: tuple[str, ...]) -> None:
    storage = InteractiveStorage(recorder.database)
    request = PlacedSoFar(100, 100, None, {}, (10, 10), prompts)
    storage.record_sent(storage.add(UID, TASK, "/data/upload/1.png", request), sent)


def judged(recorder: Recorder, *result: dict[str, Any]) -> dict[str, list[Verdict]]:
    """Kind → verdicts on an annotation."""
    state = recorder.state_of(UID, annotation(TASK, list(result)), "event")
    assert isinstance(state, State)
    assert state.outcome == "judged", state.reason
    found: dict[str, list[Verdict]] = {}
    for verdict in state.verdicts:
        found.setdefault(verdict.kind, []).append(verdict)
    return found


def test_each_suggestion_that_followed_gets_a_verdict_of_its_own_kind(recorder: Recorder) -> None:
    [region, *_] = predict(recorder.database, TASK, detection((80, 20)))
    answer(recorder, PLACED, NOSE, TAIL, prompts=("placed0001",))
    found = judged(recorder, region, PLACED, NOSE, moved(TAIL, dx=5))
    assert [(each.region_id, each.verdict, each.score) for each in found[FOLLOW_UP]] == [
        ("follow0001", "accepted", 0.75),
        ("follow0002", "moved", 0.75),
    ]
    assert found[FOLLOW_UP][1].displacement == pytest.approx(5)


def test_for_the_suggestions_of_the_task_points_that_followed_are_added(
    recorder: Recorder,
) -> None:
    """So their F1 is as on a withheld task, where nothing follows."""
    [region, *_] = predict(recorder.database, TASK, detection((80, 20)))
    answer(recorder, PLACED, NOSE, prompts=("placed0001",))
    points = judged(recorder, region, PLACED, NOSE)["point"]
    assert sorted(each.verdict for each in points) == ["accepted", "added", "added"]


def test_a_suggestion_that_is_gone_was_deleted_where_its_answer_was_used(
    recorder: Recorder,
) -> None:
    predict(recorder.database, TASK, detection())
    answer(recorder, PLACED, NOSE, TAIL, prompts=("placed0001",))
    found = judged(recorder, PLACED)
    assert [each.verdict for each in found[FOLLOW_UP]] == ["deleted", "deleted"]


def test_answers_to_another_annotator_say_nothing(recorder: Recorder) -> None:
    predict(recorder.database, TASK, detection())
    answer(recorder, PLACED, NOSE, prompts=("placed0001",))
    assert FOLLOW_UP not in judged(recorder, added(30, 30, "nose", "byhand0001"))


def test_a_repeated_suggestion_counts_once_where_it_was_last(recorder: Recorder) -> None:
    predict(recorder.database, TASK, detection())
    second = added(50, 50, region_id="placed0002")
    sharper = followed(32, 30, "follow0001")
    answer(recorder, PLACED, NOSE, prompts=("placed0001",))
    answer(recorder, PLACED, second, sharper, prompts=("placed0001", "placed0002"))
    [verdict] = judged(recorder, PLACED, second, sharper)[FOLLOW_UP]
    assert (verdict.verdict, verdict.suggested_x) == ("accepted", 31.5)


def test_they_are_stored_apart_beside_the_points_that_are_taught(recorder: Recorder) -> None:
    predict(recorder.database, TASK, detection())
    answer(recorder, PLACED, NOSE, prompts=("placed0001",))
    state = recorder.state_of(UID, annotation(TASK, [PLACED, NOSE]), "event")
    assert isinstance(state, State)
    recorder.verdicts.record([Entry(states=[state])], state.updated_at)
    query = select(verdicts.c.kind, func.count()).group_by(verdicts.c.kind)
    with recorder.database.reading() as connection:
        counts = {row[0]: row[1] for row in connection.execute(query)}
    assert counts == {"choice": 1, "point": 2, FOLLOW_UP: 1}
