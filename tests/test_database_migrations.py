"""What migrations do with the rows of earlier versions, on SQLite and on PostgreSQL."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest
from image_pairs import predict_pair
from learning_data import BASE, LIMIT, learn, lesson, teach
from migrating import downgrade
from prediction_rows import UID as WATCHED
from prediction_rows import ask, fetched, ready
from sqlalchemy import select
from verdict_data import UID, added, annotation, detection, event, moved, predict

from backend.agreement.figures import measure_agreement
from backend.database.connection import Database, now
from backend.durations.storage import DurationStorage
from backend.labelstudio.schemas import Annotation
from backend.labelstudio.shapes import read
from backend.learning.step_storage import StepStorage
from backend.learning.tables import examples
from backend.settings import Settings
from backend.suggestions.interactive import NOTHING_PLACED
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.suggestions.status_storage import WorkStatus
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.digests import digest_of
from backend.verdicts.packing import MARK, POINT, POSITIONS
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters, State
from backend.verdicts.storage import VerdictStorage
from backend.verdicts.tables import (
    arrivals,
    changed_annotations,
    origins,
    states,
    unused,
    verdicts,
)
from model.keypoint import Box

COUNTED = ("result", "was_cancelled", "completed_by", "lead_time", "parent_prediction", "task")


def first_digest(raw: dict[str, Any]) -> str:
    """The digest of the first version."""
    text = json.dumps({name: raw.get(name) for name in COUNTED}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def recorded(database: Database, raw: dict[str, Any]) -> State:
    """A state as the API gives it."""
    found = Recorder(Settings(), database).state_of(UID, raw, "sync")
    assert isinstance(found, State)
    return found


def as_of_the_first_version(database: Database, raw: dict[int, dict[str, Any]]) -> None:
    """Give states the digests that the first version gave them; `raw` by the id of the state."""
    downgrade(database, "0004")
    with database.writing() as connection:
        for state_id, each in raw.items():
            digest = first_digest(each)
            connection.execute(states.update().where(states.c.id == state_id).values(digest=digest))


def rows(database: Database, *columns: Any) -> list[tuple[Any, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(*columns))]


def figures(database: Database) -> dict[str, Any]:
    found = measure_agreement(database, Filters()).as_json()
    return {name: found[name] for name in ("overall", "by", "events", "not_used")}


@pytest.fixture
def pair(any_database: Database) -> list[dict[str, Any]]:
    """Two annotations, the first of which an event brought, and the second a pull."""
    found = []
    for task in (1, 2):
        regions = predict(any_database, task, detection((10, 10), (30, 10), (50, 10)))
        result = [moved(regions[0], 3), regions[1], added(80, 80), {"type": "brush", "id": "b"}]
        found.append(annotation(task, result, minutes=5, updated_by=1))
    event(any_database, found[0])
    Recorder(Settings(), any_database).drain()
    VerdictStorage(any_database).record([Entry(states=[recorded(any_database, found[1])])], now())
    return found


def test_states_of_an_earlier_version_are_not_added_anew(
    any_database: Database, pair: list[dict[str, Any]]
) -> None:
    before = figures(any_database)
    as_of_the_first_version(any_database, {1: pair[0], 2: pair[1]})
    any_database.migrate()
    assert figures(any_database) == before
    for raw in pair:
        for parent in (7, None):
            state = recorded(any_database, raw | {"parent_prediction": parent})
            entry = Entry(states=[state])
            assert VerdictStorage(any_database).record([entry], now()) == (0, 0)
    event(any_database, pair[1])  # it comes late
    Recorder(Settings(), any_database).drain()
    events_after = before["events"] | {"by_event": 2, "lost": 0, "recovered": 0}
    assert figures(any_database) == before | {"events": events_after}


def test_what_an_event_brought_gets_a_digest_of_today(
    any_database: Database, pair: list[dict[str, Any]]
) -> None:
    as_of_the_first_version(any_database, {1: pair[0], 2: pair[1]})
    any_database.migrate()
    columns = (states.c.id, states.c.digest, states.c.digest_version, states.c.updated_by)
    assert rows(any_database, *columns) == [
        (1, digest_of(read(Annotation, pair[0])), 2, 1),
        (2, first_digest(pair[1]), 1, None),
    ]
    assert rows(any_database, origins.c.annotation_id) == [(1,), (2,)]


def test_a_change_of_a_state_with_an_earlier_digest_is_recorded(
    any_database: Database, pair: list[dict[str, Any]]
) -> None:
    as_of_the_first_version(any_database, {2: pair[1]})
    any_database.migrate()
    fewer = pair[1]["result"][1:]
    for more in ({"result": fewer}, {"lead_time": 11.0}, {"completed_by": 5}):
        state = recorded(any_database, pair[1] | more)
        assert VerdictStorage(any_database).record([Entry(states=[state])], now()) == (1, 0)


def test_a_state_that_was_added_again_without_its_parent_is_removed(any_database: Database) -> None:
    predict(any_database, 1, detection((10, 10), (30, 10), (50, 10)), label_studio_id=7)
    drawn = [added(10 + 20 * place, 13, region_id=f"hand{place}") for place in range(3)]
    raw = annotation(1, [*drawn, {"type": "brush", "id": "b"}])
    event(any_database, raw)
    Recorder(Settings(), any_database).drain()
    before = figures(any_database)
    with any_database.writing() as connection:
        [row] = connection.execute(select(states)).mappings().all()
        again = first_digest(raw | {"parent_prediction": None})
        connection.execute(states.insert().values({**row, "id": 2, "digest": again}))
        of_points = connection.execute(select(verdicts).where(verdicts.c.final_x.is_not(None)))
        for point in of_points.mappings().all():
            values = {**point, "state_id": 2, "verdict": "moved"}
            del values["id"]
            connection.execute(verdicts.insert().values(values))
        choice = {"state_id": 2, "kind": "choice", "verdict": "deleted"}
        connection.execute(verdicts.insert().values(choice))
        skipped = {"state_id": 2, "reason": "a region", "digest": "2 0"}
        connection.execute(unused.insert().values(skipped))
    assert figures(any_database)["events"] == {"by_event": 1, "lost": 1, "recovered": 1}
    as_of_the_first_version(any_database, {1: raw})
    any_database.migrate()
    assert figures(any_database) == before
    assert rows(any_database, states.c.id) == rows(any_database, arrivals.c.state_id) == [(1,)]


@pytest.mark.parametrize(
    ("brought_by", "near", "began"),
    [
        ("an event", True, False),
        ("an event", False, False),
        ("a pull", True, True),  # it cannot be told from one that was moved
        ("a pull", False, False),
    ],
)
def test_what_was_drawn_from_nothing_is_told_as_far_as_is_known(
    any_database: Database, brought_by: str, near: bool, began: bool
) -> None:
    predict(any_database, 1, detection((10, 10)))
    place = 12 if near else 60
    # As an API client writes it, which leaves out the mark of points that were drawn by hand.
    drawn = {**added(place, place), "origin": None}
    raw = annotation(1, [drawn], parent=None)
    if brought_by == "an event":
        event(any_database, raw)
        Recorder(Settings(), any_database).drain()
    else:
        state = recorded(any_database, raw)
        VerdictStorage(any_database).record([Entry(states=[state])], now())
    as_of_the_first_version(any_database, {1: raw})
    any_database.migrate()
    assert (rows(any_database, origins.c.annotation_id) == [(1,)]) is began


def test_points_that_were_packed_without_positions_get_them(
    any_database: Database, pair: list[dict[str, Any]]
) -> None:
    names = [name for name in POINT.names or () if name not in (*POSITIONS, "number")]
    earlier = np.dtype([(name, POINT[name]) for name in names])
    packed = rows(any_database, states.c.id, states.c.points)
    with any_database.writing() as connection:
        for state_id, points in packed[:1]:
            found = np.frombuffer(points[1:], POINT)
            without = np.zeros(len(found), earlier)
            for name in names:
                without[name] = found[name]
            connection.execute(
                states.update().where(states.c.id == state_id).values(points=without.tobytes())
            )
    assert not rows(any_database, states.c.id, states.c.points)[0][1].startswith(MARK)
    downgrade(any_database, "0005")
    any_database.migrate()
    assert rows(any_database, states.c.id, states.c.points) == packed
    assert len(packed) == len(pair)


def test_objects_without_a_rectangle_are_learnt_again_and_the_others_stay(
    any_database: Database,
) -> None:
    """They had been looked at once, where the class evidence pointed to."""
    two = {"nose": (10.0, 20.0), "tail": (40.0, 30.0)}
    searched, drawn = Box(5, 5, 50, 40), Box(0, 0, 30, 30)
    teach(any_database, 1, lesson(1, points=two, box=searched), uid=UID)
    teach(any_database, 2, lesson(2, points=two, box=drawn, object=0), uid=UID)
    teach(any_database, 3, lesson(3, points=two, box=searched, drawn="digest"), uid=UID)
    learn(any_database, uid=UID)
    steps = StepStorage(any_database, limit=LIMIT)
    assert steps.version(UID, BASE) != BASE
    downgrade(any_database, "0014")
    any_database.migrate()
    assert rows(any_database, examples.c.task_id, examples.c.status, examples.c.drawn) == [
        (1, "waiting", None),
        (2, "ready", None),
        (3, "waiting", ""),
    ]
    noted = rows(any_database, changed_annotations.c.annotation_id)
    assert noted == [(1,), (3,)]
    assert steps.version(UID, BASE) == BASE
    # Both are worked out anew: their object is to be found.
    teach(any_database, 1, lesson(1, points=two), uid=UID)
    teach(any_database, 3, lesson(3, points=two, drawn="digest"), uid=UID)
    learn(any_database, uid=UID)
    found = rows(any_database, examples.c.task_id, examples.c.status, examples.c.drawn)
    assert found == [(1, "ready", None), (2, "ready", None), (3, "ready", "digest")]
    assert steps.version(UID, BASE).startswith(f"{BASE}+3-")


def test_predictions_of_an_earlier_schema_stay_as_they_are_and_have_no_request_id(
    any_database: Database,
) -> None:
    made = ready(any_database, 1)
    waiting = ask(any_database, 2)[0].id
    before = [fetched(any_database, row) for row in (made, waiting)]
    InteractiveStorage(any_database).add(WATCHED, 1, "/data/a.png", NOTHING_PLACED)
    downgrade(any_database, "0014")
    any_database.migrate()
    assert [fetched(any_database, row) for row in (made, waiting)] == before
    assert {row.request_id for row in before} == {None}
    answer = InteractiveStorage(any_database).answer(1)
    assert answer is not None and answer.request_id is None
    assert {each.name: each.waiting for each in WorkStatus(any_database).queues()} == {
        "interactive": 1,
        "corrections": 0,
        "opened": 0,
        "predictions": 1,
        "deliveries": 1,
        "trainings": 0,
    }
    assert DurationStorage(any_database).series() == {}


def test_annotations_of_an_earlier_schema_are_about_the_only_image_of_their_task(
    any_database: Database,
) -> None:
    event(any_database, annotation(7, predict(any_database, 7, detection((10, 10)))))
    predict_pair(any_database, 1, detection((10, 10)), detection((20, 20)))
    event(any_database, annotation(1, []))
    Recorder(Settings(), any_database).drain()
    numbers = (states.c.task_id, states.c.image_number)
    assert rows(any_database, *numbers) == [(1, 0), (1, 1), (7, None)]
    downgrade(any_database, "0020")
    any_database.migrate()
    assert rows(any_database, *numbers) == [(1, None), (7, None)]
    assert figures(any_database)["overall"]["annotations"] == 2


def test_predictions_that_a_newer_version_made_instead_are_failures_no_more(
    any_database: Database,
) -> None:
    replaced, other = (row.id for row in ask(any_database, 1, 2))
    storage = PredictionStorage(any_database)
    storage.fail(replaced, "b is the current version now: it makes the prediction instead")
    storage.fail(other, "100 % unreadable")
    downgrade(any_database, "0019")
    any_database.migrate()
    assert [row.id for row in storage.predictions([replaced, other])] == [other]
