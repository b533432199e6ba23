import math
from datetime import timedelta

import pytest
from conftest import at_once
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prediction_rows import DETECTION, LONG_AGO, UID, VERSION, ask, fetched, ready, wanted
from sqlalchemy.exc import IntegrityError
from waiting_rows import queued

from backend.database.connection import CHUNK, Database, now
from backend.database.text import LONGEST_REASON
from backend.labelstudio.projects import ProjectStorage
from backend.suggestions.delivery_storage import DeliverySchedule
from backend.suggestions.storage import PredictionStorage
from model.keypoint import Box, Detection, Keypoint

# Requests


def test_a_prediction_needs_a_project(any_database: Database) -> None:
    with pytest.raises(IntegrityError):
        PredictionStorage(any_database).request(
            "no.1", VERSION, [wanted(1)], retry_failed_before=LONG_AGO
        )


def test_rows_come_in_the_order_in_which_they_are_asked_for(any_database: Database) -> None:
    assert [row.task_id for row in ask(any_database, 5, 1, 3)] == [5, 1, 3]


def test_more_tasks_than_a_statement_takes_get_a_row_each(any_database: Database) -> None:
    tasks = range(2 * CHUNK + 7)
    rows = ask(any_database, *tasks)
    assert [row.task_id for row in rows] == list(tasks)
    assert PredictionStorage(any_database).predictions_by_status() == {"queued": len(tasks)}
    ids = [row.id for row in rows]
    assert [row.id for row in PredictionStorage(any_database).predictions(ids)] == sorted(ids)
    assert PredictionStorage(any_database).finished(ids) == set()


def test_a_task_asked_for_twice_has_one_row(any_database: Database) -> None:
    first, second = ask(any_database, 1, 1)
    [third] = ask(any_database, 1)
    assert first.id == second.id == third.id


def test_no_tasks_at_all_have_no_rows(any_database: Database) -> None:
    assert ask(any_database) == []


def test_a_task_number_that_is_given_out_again_is_another_task(any_database: Database) -> None:
    [old] = ask(any_database, 1)
    ProjectStorage(any_database).save_label_config("4.1795347799", "<View/>")
    ask_again = {"retry_failed_before": LONG_AGO}
    [new] = PredictionStorage(any_database).request(
        "4.1795347799", VERSION, [wanted(1)], **ask_again
    )
    [other] = PredictionStorage(any_database).request(
        UID, VERSION, [wanted(1, "/data/b.png")], **ask_again
    )
    [newer] = PredictionStorage(any_database).request(
        UID, "small-9876543210", [wanted(1)], **ask_again
    )
    assert len({old.id, new.id, other.id, newer.id}) == 4
    assert len({old.key, new.key, other.key, newer.key}) == 4
    assert [row.id for row in PredictionStorage(any_database).of_task(1, UID)] == [
        newer.id,
        other.id,
        old.id,
    ]
    assert len(PredictionStorage(any_database).of_task(1)) == 4


def test_requests_that_overlap_never_wait_for_each_other_forever(any_database: Database) -> None:
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    tasks = list(range(60))

    def request(number: int) -> list[int]:
        order = tasks if number % 2 else tasks[::-1]
        asked = [wanted(task) for task in order]
        rows = PredictionStorage(any_database).request(
            UID, VERSION, asked, retry_failed_before=LONG_AGO
        )
        until = now() + timedelta(seconds=number)
        DeliverySchedule(any_database).reserve_for_reply([row.id for row in rows], until)
        DeliverySchedule(any_database).end_reservation([row.id for row in rows[::-1]], until)
        return sorted(row.id for row in rows)

    found = at_once(6, request)
    assert all(each == found[0] for each in found)
    assert PredictionStorage(any_database).predictions_by_status() == {"queued": len(tasks)}


def test_what_cannot_be_predicted_is_failed_from_the_start(any_database: Database) -> None:
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    refused = [wanted(1, refusal="no image")]
    for before in (LONG_AGO, now() + timedelta(hours=1)):
        [row] = PredictionStorage(any_database).request(
            UID, VERSION, refused, retry_failed_before=before
        )
        assert (row.status, row.reason, row.round) == ("failed", "no image", 1)


def test_a_failed_prediction_is_queued_again_only_after_a_while(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    PredictionStorage(any_database).start_attempt(row.id)
    PredictionStorage(any_database).fail(row.id, "not an image")
    [early] = ask(any_database, 1, before=LONG_AGO)
    assert (early.status, early.reason, early.round) == ("failed", "not an image", 1)
    [late] = ask(any_database, 1, before=now() + timedelta(seconds=1))
    assert (late.status, late.reason, late.round) == ("queued", None, 2)
    assert (late.attempts, late.failures, late.finished_at) == (0, 0, None)


def test_predictions_requested_while_drawing_come_last(any_database: Database) -> None:
    [asked] = ask(any_database, 1)
    [drawn] = PredictionStorage(any_database).request(
        UID, VERSION, [wanted(1, "box")], retry_failed_before=LONG_AGO, to_deliver=False
    )
    assert [row.id for row in PredictionStorage(any_database).of_task(1)] == [asked.id, drawn.id]


# The work


def test_what_was_found_comes_back_as_it_was(any_database: Database) -> None:
    row = ready(any_database)
    found = fetched(any_database, row)
    assert (found.status, found.detection, found.reason) == ("ready", DETECTION, None)
    assert found.started_at is not None
    assert found.finished_at is not None
    assert found.started_at <= found.finished_at


number = st.floats(allow_nan=False, allow_infinity=False, width=64)
keypoints = st.builds(Keypoint, number, number, number, st.text(st.characters(codec="utf-8")))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(keypoints, max_size=5), share=st.floats(0, 1))
def test_every_detection_comes_back_as_it_was(
    database: Database, points: list[Keypoint], share: float
) -> None:
    detection = Detection("bus", share, tuple(points), 3, 4, Box(0, 0.5, 1.25, math.pi))
    task = (
        len(queued(PredictionStorage(database)))
        + sum(PredictionStorage(database).predictions_by_status().values())
        + 1
    )
    [row] = ask(database, task)
    PredictionStorage(database).finish(row.id, detection)
    assert fetched(database, row.id).detection == detection


def test_what_was_found_first_stays(any_database: Database) -> None:
    row = ready(any_database)
    other = Detection("car", 0.5, (), 640, 480, DETECTION.box)
    PredictionStorage(any_database).finish(row, other)
    PredictionStorage(any_database).fail(row, "too late")
    assert PredictionStorage(any_database).record_failure(row, "too late", limit=0)
    found = fetched(any_database, row)
    assert (found.status, found.detection, found.reason) == ("ready", DETECTION, None)


def test_a_failure_that_may_pass_is_tried_again_up_to_a_limit(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    assert PredictionStorage(any_database).record_failure(row.id, "no network", limit=2)
    assert PredictionStorage(any_database).record_failure(row.id, "no network", limit=2)
    waiting = fetched(any_database, row.id)
    assert (waiting.status, waiting.reason, waiting.failures) == ("queued", "no network", 2)
    assert not PredictionStorage(any_database).record_failure(row.id, "still no network", limit=2)
    found = fetched(any_database, row.id)
    assert (found.status, found.reason) == ("failed", "still no network")
    assert found.finished_at is not None


def test_a_start_that_was_interrupted_does_not_count(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    begun = PredictionStorage(any_database).start_attempt(row.id)
    assert begun is not None
    assert begun.attempts == 1
    PredictionStorage(any_database).undo_attempt(row.id)
    found = fetched(any_database, row.id)
    assert (found.attempts, found.started_at) == (0, None)


def test_a_row_that_is_not_there_cannot_be_begun(any_database: Database) -> None:
    assert PredictionStorage(any_database).start_attempt(1) is None


def test_one_of_many_goes_on_to_the_next_round(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    assert sum(at_once(8, lambda _: PredictionStorage(any_database).next_round(row.id, 1))) == 1
    assert fetched(any_database, row.id).round == 2
    PredictionStorage(any_database).finish(row.id, DETECTION)
    assert not PredictionStorage(any_database).next_round(row.id, 2)


def test_a_reason_that_no_database_takes_is_made_fit(any_database: Database) -> None:
    rows = ask(any_database, 1, 2)
    PredictionStorage(any_database).fail(rows[0].id, "a\0b \ud800 c")
    PredictionStorage(any_database).fail(rows[1].id, "long " * LONGEST_REASON)
    assert fetched(any_database, rows[0].id).reason == "a b ? c"
    assert len(fetched(any_database, rows[1].id).reason or "") == LONGEST_REASON
