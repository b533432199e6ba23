import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from test_labelstudio_shapes import json_values
from verdict_data import (
    CONFIG,
    PROJECT,
    UID,
    VERSION,
    added,
    annotation,
    detection,
    event,
    moved,
    predict,
)

from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database, now
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.schemas import PredictionJson
from backend.settings import Settings
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.holdout import HoldoutStorage
from backend.suggestions.tables import deliveries
from backend.verdicts.judging import UNKNOWN_CHOICE
from backend.verdicts.recording import (
    NO_ANNOTATION,
    NO_ID,
    NO_PROJECT,
    NO_RESULT,
    NO_TASK,
    Recorder,
)
from backend.verdicts.records import Event, Filters, State, Unused
from backend.verdicts.storage import EventStorage

POINT = {
    "id": "d2ebe35157",
    "type": "keypointlabels",
    "value": {"x": 20.35, "y": 38.55, "width": 0.6, "keypointlabels": ["näse"]},
    "score": 0.56,
}
ANNOTATION = {
    "id": 5,
    "task": 2,
    "project": 3,
    "completed_by": {"id": 4, "email": "a@b"},
    "lead_time": 12.5,
    "was_cancelled": False,
    "parent_prediction": 7,
    "created_at": "2026-11-22T11:41:58.713713Z",
    "result": [POINT],
}


@pytest.fixture
def recorder(database: Database) -> Recorder:
    return Recorder(Settings(suggest="always"), database)


def event_of(action: str, **body: Any) -> Event:
    return Event(1, now(), action, 3, {"action": action, "project": dict(PROJECT), **body})


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, NO_ANNOTATION),
        ([], NO_ANNOTATION),
        ({**ANNOTATION, "id": "5"}, NO_ID),
        ({**ANNOTATION, "id": 2**64, "task": None}, NO_ID),
        ({**ANNOTATION, "task": True}, NO_TASK),
    ],
)
def test_an_annotation_that_makes_no_state_says_why(
    recorder: Recorder, raw: object, reason: str
) -> None:
    found = recorder.state_of(UID, raw, "sync")
    assert isinstance(found, Unused)
    assert found.reason == reason
    assert recorder.state_of(UID, raw, "sync") == found


def test_an_annotation_of_no_known_project_keeps_its_task(recorder: Recorder) -> None:
    found = recorder.state_of(None, ANNOTATION, "event")
    assert isinstance(found, Unused)
    assert (found.reason, found.project_uid, found.task_id) == (NO_PROJECT, None, 2)


@pytest.mark.parametrize("result", [None, {}, "regions", 3])
def test_a_result_that_is_no_list_makes_a_state_with_the_reason(
    recorder: Recorder, result: object
) -> None:
    found = recorder.state_of(UID, {**ANNOTATION, "result": result}, "sync")
    assert isinstance(found, State)
    assert (found.outcome, found.reason) == ("unused", NO_RESULT)
    skipped = {**ANNOTATION, "result": result, "was_cancelled": True}
    found = recorder.state_of(UID, skipped, "sync")
    assert isinstance(found, State)
    assert (found.outcome, found.reason) == ("skipped", None)


def test_a_malformed_annotation_of_an_event_does_not_spoil_the_others(recorder: Recorder) -> None:
    entry = recorder.entry_of(event_of("ANNOTATIONS_CREATED", annotation=[7, ANNOTATION, {}]))
    assert [state.annotation_id for state in entry.states] == [5]
    assert [each.reason for each in entry.unused] == [NO_ANNOTATION, NO_ID]


@pytest.mark.parametrize("value", [None, []])
def test_an_event_without_an_annotation_says_so(recorder: Recorder, value: object) -> None:
    entry = recorder.entry_of(event_of("ANNOTATION_CREATED", annotation=value))
    assert [each.reason for each in entry.unused] == [NO_ANNOTATION]


@pytest.mark.parametrize(
    ("action", "body", "ids"),
    [
        ("ANNOTATIONS_DELETED", {"annotations": [{"id": 3}, {"id": 4}]}, [(3, None), (4, None)]),
        ("ANNOTATION_DELETED", {"annotation": {"id": 3}}, [(3, None)]),
        ("TASKS_DELETED", {"tasks": [3]}, [(None, 3)]),
    ],
)
def test_a_deletion_retracts_what_it_lists(
    recorder: Recorder, action: str, body: dict[str, Any], ids: list[tuple[int | None, int | None]]
) -> None:
    entry = recorder.entry_of(event_of(action, **body))
    assert [(each.annotation_id, each.task_id) for each in entry.retractions] == ids


def test_a_deletion_in_no_known_project_is_counted_and_retracts_nothing(
    recorder: Recorder,
) -> None:
    entry = recorder.entry_of(
        event_of("ANNOTATIONS_DELETED", annotations=[{"id": 3}], project=None)
    )
    assert entry.retractions == ()
    assert [(each.reason, each.project_uid) for each in entry.unused] == [(NO_PROJECT, None)]


def test_a_deletion_with_one_malformed_id_is_counted_and_retracts_nothing(
    recorder: Recorder,
) -> None:
    entry = recorder.entry_of(event_of("ANNOTATIONS_DELETED", annotations=[{"id": 3}, {"id": "4"}]))
    assert entry.retractions == ()
    assert [each.reason for each in entry.unused] == [NO_ID]


@pytest.mark.parametrize(
    ("config", "control", "verdicts", "reasons"),
    [
        (CONFIG, "class", ["added"], []),
        (CONFIG, "quality", [], ["a choice about something else"]),
        ("<View>", "class", [], [UNKNOWN_CHOICE]),
    ],
    ids=["the class", "something else", "unreadable configuration"],
)
def test_the_configuration_says_which_choice_is_the_class_where_none_was_suggested(
    recorder: Recorder, config: str, control: str, verdicts: list[str], reasons: list[str]
) -> None:
    # The configuration has no choice for this class, so that none is suggested.
    sent = predict(recorder.database, 1, detection((10, 10), class_name="boat"))
    ProjectStorage(recorder.database).save_label_config(UID, config)
    choice = {"id": "c", "from_name": control, "to_name": "image", "type": "choices"}
    raw = annotation(1, [*sent, {**choice, "value": {"choices": ["bus"]}}])
    state = recorder.state_of(UID, raw, "sync")
    assert isinstance(state, State)
    assert state.outcome == "judged"
    assert [each.verdict for each in state.verdicts if each.kind == "choice"] == verdicts
    assert list(state.unused) == reasons


HOSTILE: list[Any] = [
    {**added(1, 1), "id": []},
    {**added(1, 1), "id": {"a": 1}, "parentID": [1]},
    {**added(1, 1), "type": []},
    {**added(1, 1), "to_name": {}},
    {**added(1, 1, label="a\0b\ud800"), "id": "\0\udfff"},
    {**added(1, 1), "value": {"x": 10**400, "y": -(10**400)}},
    {**added(1, 1), "score": 10**400},
    {"type": "choices", "id": [], "to_name": "image", "value": {"choices": ["\0", [1], None]}},
    {"type": "tool \0\ud800", "to_name": "image"},
    {
        "type": "rectangle",
        "to_name": "image",
        "id": "\0",
        "value": {"x": 1e308, "y": -1e308, "width": 1e308, "height": 1e308, "rotation": 30},
    },
]


def test_an_annotation_that_no_editor_makes_does_not_stop_the_log(any_database: Database) -> None:
    sent = predict(any_database, 1, detection((10, 10), (50, 50)))
    event(any_database, annotation(1, [moved(sent[0], 5), *HOSTILE]))
    recorder = Recorder(Settings(), any_database)
    assert recorder.drain() == 1
    [rows] = AgreementQueries(any_database).verdict_rows(Filters())
    assert {row.verdict for row in rows} >= {"moved", "deleted", "added"}
    assert "a b?" in {row.final_label for row in rows}


names = st.sampled_from(
    [
        *("id", "type", "value", "to_name", "from_name", "score", "origin", "parentID", "x", "y"),
        *("width", "height", "labels", "keypointlabels", "choices", "rotation"),
    ]
)
kinds = st.sampled_from(
    ["keypointlabels", "keypoint", "labels", "choices", "rectangle", "rectanglelabels"]
)
regions = st.builds(
    lambda region, more: region | more,
    st.fixed_dictionaries({"type": kinds, "to_name": st.just("image")}),
    st.dictionaries(names, json_values | st.dictionaries(names, json_values)),
)
fields = st.sampled_from(
    [
        *("result", "was_cancelled", "completed_by", "updated_by", "lead_time"),
        *("parent_prediction", "task", "id", "created_at", "updated_at"),
    ]
)


class Changed:
    """A prediction of two points that became one of three, or the reverse, under the same key."""

    def __init__(self, recorder: Recorder, before: int, after: int) -> None:
        self.recorder, database = recorder, recorder.database
        regions = predict(database, 1, detection((10, 10), (50, 50), (80, 80)), label_studio_id=7)
        points = [each for each in regions if each["type"] == "keypointlabels"]
        storage = DeliveryStorage(database)
        self.sent = points[:before], points[:after]
        changed: PredictionJson = {"result": points[:after], "score": 0.8, "model_version": VERSION}
        lease = storage.record_delivery(
            1, "change", changed, number=2, lease=None, settles_in=10, check_in=10
        )
        assert lease is not None
        storage.confirm(lease, 7, number=2)
        self.made_at = now()
        with database.writing() as connection:
            for number, minutes in ((1, 60), (2, 10)):
                values = {"made_at": self.made_at - timedelta(minutes=minutes)}
                if number == 1:
                    values["sent"] = {**changed, "result": points[:before]}
                connection.execute(
                    update(deliveries).where(deliveries.c.number == number).values(values)
                )

    def judged(self, result: list[dict[str, Any]], minutes: float) -> list[str]:
        """The verdicts about an annotation that took so long and is submitted now."""
        made = annotation(1, result, parent=7, lead_time=60 * minutes)
        made |= {"created_at": self.made_at.isoformat(), "updated_at": self.made_at.isoformat()}
        state = self.recorder.state_of(UID, made, "event")
        assert isinstance(state, State)
        return [each.verdict for each in state.verdicts]


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 2)])
def test_an_annotation_is_compared_with_what_was_there_when_the_task_was_opened(
    recorder: Recorder, before: int, after: int
) -> None:
    """A changed prediction keeps its key in Label Studio, and a page that is open what it shows."""
    changed = Changed(recorder, before, after)
    first, second = changed.sent
    assert changed.judged(first, minutes=30) == ["accepted"] * before
    assert changed.judged(second, minutes=5) == ["accepted"] * after


def test_points_that_were_added_by_a_change_and_deleted_count_as_deleted(
    recorder: Recorder,
) -> None:
    changed = Changed(recorder, 2, 3)
    first, _ = changed.sent
    assert sorted(changed.judged(first, minutes=5)) == ["accepted", "accepted", "deleted"]


def test_a_withheld_prediction_is_compared_with_what_the_settings_would_have_shown(
    recorder: Recorder,
) -> None:
    database = recorder.database
    found = detection((10, 10), (50, 50), (80, 80))
    regions = predict(database, 1, found, deliver=False)
    HoldoutStorage(database).withhold(UID, [1], now())
    ProjectStorage(database).save_settings(UID, ProjectSettings(max_keypoints=2))
    made = annotation(1, regions[:2], parent=None)
    state = recorder.state_of(UID, made, "event")
    assert isinstance(state, State)
    points = [each.verdict for each in state.verdicts if each.kind == "point"]
    assert points == ["accepted", "accepted"]


@pytest.fixture
def predicted(recorder: Recorder) -> Recorder:
    """The log of a database with one delivered prediction."""
    predict(recorder.database, 1, detection((10, 10), (50, 50)))
    return recorder


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.dictionaries(fields, json_values), st.lists(regions | json_values, max_size=6))
def test_arbitrary_annotations_are_recorded_and_their_events_never_changed(
    predicted: Recorder, more: dict[str, Any], result: list[Any]
) -> None:
    # As the webhook reads it: NaN and infinities are text.
    made = json.loads(json.dumps(annotation(1, result) | more), parse_constant=str)
    number = event(predicted.database, made)
    assert predicted.drain() == 1
    [stored] = EventStorage(predicted.database).events(after=number - 1)
    assert stored.body["annotation"] == made
