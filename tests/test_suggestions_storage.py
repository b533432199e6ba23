import hashlib
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import IntegrityError

from backend.database.schema import metadata, predictions, projects
from backend.suggestions.delivery_storage import CHUNK, LONGEST_REASON
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.storage import Storage, StorageError, now
from model.keypoint import Box, Detection, Keypoint

UID = "3.1795347724"
VERSION = "small-0123456789"
DETECTION = Detection(
    class_name="bus",
    probability=0.75,
    keypoints=(Keypoint(1.5, 2.25, 0.875, "bus"),),
    width=640,
    height=480,
    box=Box(0, 0, 640, 480),
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def wanted(task_id: int, image: str = "/data/a.png", refusal: str | None = None) -> Wanted:
    digest = hashlib.sha256(image.encode()).hexdigest()
    return Wanted(task_id, image, digest, {}, refusal)


def ask(storage: Storage, *tasks: int, before: datetime = LONG_AGO) -> list[Prediction]:
    storage.save_label_config(UID, "<View/>")
    asked = [wanted(task) for task in tasks]
    return storage.request(UID, VERSION, asked, retry_failed_before=before)


def ready(storage: Storage, task: int = 1) -> int:
    """A prediction that nobody waits for and nobody has delivered."""
    [row] = ask(storage, task)
    storage.begin(row.id)
    storage.finish(row.id, DETECTION)
    return row.id


def deliver(storage: Storage, row: int, *, number: int = 1, token: datetime | None = None) -> Any:
    return storage.deliver(
        row, "push", {"result": []}, number=number, token=token, settles_in=60, check_in=120
    )


def let_time_pass(storage: Storage, row: int) -> None:
    """As if every wait and every hold of a row had ended long ago."""
    with storage.database.writing() as connection:
        for column in ("waiting_until", "busy_until", "check_at"):
            connection.execute(
                update(predictions)
                .where(predictions.c.id == row, predictions.c[column].is_not(None))
                .values({column: LONG_AGO})
            )


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What `count` threads get that all start at the same moment."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def fetched(storage: Storage, row: int) -> Prediction:
    found = storage.prediction(row)
    assert found is not None
    return found


# The database


def test_the_migrations_lead_to_the_tables_that_the_code_uses(any_storage: Storage) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    with any_storage.database.reading() as connection:
        found = differences(connection)
    mine = {"projects", "predictions", "deliveries", "events"}
    assert [each for each in found if _table_of(each) in mine] == []


def _table_of(difference: Any) -> str:
    first = difference[0] if isinstance(difference, list) else difference
    name: str = getattr(first[1], "name", None) or first[2]
    return name


def test_many_processes_may_migrate_at_once(database: str) -> None:
    storages = [Storage(database) for _ in range(4)]
    at_once(4, lambda number: storages[number].migrate())
    assert storages[0].predictions_by_status() == {}
    for each in storages:
        each.close()


def test_a_database_of_a_newer_version_is_refused(any_storage: Storage) -> None:
    with any_storage.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer version"):
        any_storage.migrate()


def test_the_folder_of_the_database_is_made(tmp_path: Path) -> None:
    storage = Storage(f"sqlite:///{tmp_path}/deep/down/backend.sqlite3")
    storage.migrate()
    storage.close()
    assert (tmp_path / "deep/down/backend.sqlite3").is_file()


def test_migrating_works_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Storage("sqlite:///backend.sqlite3")
    storage.migrate()
    storage.close()
    assert (tmp_path / "backend.sqlite3").is_file()


def test_sqlite_writes_ahead_and_minds_foreign_keys(storage: Storage) -> None:
    with storage.database.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 10_000


def test_a_prediction_needs_a_project(any_storage: Storage) -> None:
    with pytest.raises(IntegrityError):
        any_storage.request("no.1", VERSION, [wanted(1)], retry_failed_before=LONG_AGO)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_common_name_of_postgresql_is_understood(postgres_url: str, scheme: str) -> None:
    storage = Storage(postgres_url.replace("postgresql", scheme, 1))
    storage.migrate()
    assert storage.predictions_by_status() == {}
    storage.close()


@pytest.mark.parametrize("url", ["mysql://user:secret@host/name", "sqlite://"])
def test_other_databases_are_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(StorageError, match="sqlite:///") as caught:
        Storage(url)
    assert "secret" not in str(caught.value)


def test_writers_in_many_threads_wait_for_each_other(any_storage: Storage) -> None:
    at_once(8, lambda _: [any_storage.save_event("ANY", 1, {}) for _ in range(10)])
    assert any_storage.events_by_action() == {"ANY": 80}


def test_a_reader_does_not_wait_for_a_writer(storage: Storage) -> None:
    with storage.database.writing() as connection:
        connection.execute(projects.insert().values(uid=UID, changed_at=now()))
        assert storage.project(UID) is None
    assert storage.project(UID) is not None


@pytest.mark.parametrize("hours", [-11, 0, 5.5])
def test_a_moment_comes_back_as_it_was_whatever_its_zone(
    any_storage: Storage, hours: float
) -> None:
    moment = datetime(2026, 3, 29, 2, 30, 1, 234567, timezone(timedelta(hours=hours)))
    with any_storage.database.writing() as connection:
        connection.execute(projects.insert().values(uid="1", changed_at=moment))
        found = connection.execute(select(projects.c.changed_at)).scalar_one()
    assert found == moment
    assert found.utcoffset() == timedelta(0)


# Projects


def test_a_project_keeps_host_and_token_together(any_storage: Storage) -> None:
    any_storage.save_connection(UID, hostname="http://a", access_token="t", label_config="<V/>")
    any_storage.save_connection(UID, hostname="http://b", access_token=None, label_config="<V/>")
    found = any_storage.project(UID)
    assert found is not None
    assert (found.hostname, found.access_token) == ("http://b", None)


def test_a_new_label_config_leaves_host_and_token(any_storage: Storage) -> None:
    any_storage.save_connection(UID, hostname="http://a", access_token="t", label_config="<V/>")
    any_storage.save_label_config(UID, "<View/>")
    found = any_storage.project(UID)
    assert found is not None
    assert (found.hostname, found.access_token, found.label_config) == ("http://a", "t", "<View/>")


def test_what_is_known_of_a_project_is_not_written_again(any_storage: Storage) -> None:
    def changed() -> datetime:
        with any_storage.database.reading() as connection:
            moment: datetime = connection.execute(select(projects.c.changed_at)).scalar_one()
            return moment

    for _ in range(2):
        any_storage.save_connection(UID, hostname="http://a", access_token="t", label_config="<V/>")
        first = changed()
        any_storage.save_label_config(UID, "<V/>")
        assert changed() == first


# Asking


def test_rows_come_in_the_order_in_which_they_are_asked_for(any_storage: Storage) -> None:
    assert [row.task_id for row in ask(any_storage, 5, 1, 3)] == [5, 1, 3]


def test_more_tasks_than_a_statement_takes_get_a_row_each(any_storage: Storage) -> None:
    tasks = range(2 * CHUNK + 7)
    rows = ask(any_storage, *tasks)
    assert [row.task_id for row in rows] == list(tasks)
    assert any_storage.predictions_by_status() == {"queued": len(tasks)}
    ids = [row.id for row in rows]
    assert [row.id for row in any_storage.predictions(ids)] == sorted(ids)
    assert any_storage.finished(ids) == set()


def test_a_task_asked_for_twice_has_one_row(any_storage: Storage) -> None:
    first, second = ask(any_storage, 1, 1)
    [third] = ask(any_storage, 1)
    assert first.id == second.id == third.id


def test_no_tasks_at_all_have_no_rows(any_storage: Storage) -> None:
    assert ask(any_storage) == []


def test_a_task_number_that_is_given_out_again_is_another_task(any_storage: Storage) -> None:
    [old] = ask(any_storage, 1)
    any_storage.save_label_config("4.1795347799", "<View/>")
    ask_again = {"retry_failed_before": LONG_AGO}
    [new] = any_storage.request("4.1795347799", VERSION, [wanted(1)], **ask_again)
    [other] = any_storage.request(UID, VERSION, [wanted(1, "/data/b.png")], **ask_again)
    [newer] = any_storage.request(UID, "small-9876543210", [wanted(1)], **ask_again)
    assert len({old.id, new.id, other.id, newer.id}) == 4
    assert len({old.key, new.key, other.key, newer.key}) == 4
    assert [row.id for row in any_storage.of_task(1, UID)] == [newer.id, other.id, old.id]
    assert len(any_storage.of_task(1)) == 4


def test_requests_that_overlap_never_wait_for_each_other_forever(any_storage: Storage) -> None:
    any_storage.save_label_config(UID, "<View/>")
    tasks = list(range(60))

    def request(number: int) -> list[int]:
        order = tasks if number % 2 else tasks[::-1]
        asked = [wanted(task) for task in order]
        rows = any_storage.request(UID, VERSION, asked, retry_failed_before=LONG_AGO)
        until = now() + timedelta(seconds=number)
        any_storage.wait_for([row.id for row in rows], until)
        any_storage.stop_waiting([row.id for row in rows[::-1]], until)
        return sorted(row.id for row in rows)

    found = at_once(6, request)
    assert all(each == found[0] for each in found)
    assert any_storage.predictions_by_status() == {"queued": len(tasks)}


def test_what_cannot_be_predicted_is_failed_from_the_start(any_storage: Storage) -> None:
    any_storage.save_label_config(UID, "<View/>")
    refused = [wanted(1, refusal="no image")]
    for before in (LONG_AGO, now() + timedelta(hours=1)):
        [row] = any_storage.request(UID, VERSION, refused, retry_failed_before=before)
        assert (row.status, row.reason, row.round) == ("failed", "no image", 1)


def test_a_failed_prediction_is_queued_again_only_after_a_while(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    any_storage.begin(row.id)
    any_storage.fail(row.id, "not an image")
    [early] = ask(any_storage, 1, before=LONG_AGO)
    assert (early.status, early.reason, early.round) == ("failed", "not an image", 1)
    [late] = ask(any_storage, 1, before=now() + timedelta(seconds=1))
    assert (late.status, late.reason, late.round) == ("queued", None, 2)
    assert (late.attempts, late.failures, late.finished_at) == (0, 0, None)


# The work


def test_what_was_found_comes_back_as_it_was(any_storage: Storage) -> None:
    row = ready(any_storage)
    found = fetched(any_storage, row)
    assert (found.status, found.detection, found.reason) == ("ready", DETECTION, None)
    assert found.started_at is not None
    assert found.finished_at is not None
    assert found.started_at <= found.finished_at


number = st.floats(allow_nan=False, allow_infinity=False, width=64)
keypoints = st.builds(Keypoint, number, number, number, st.text(st.characters(codec="utf-8")))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(points=st.lists(keypoints, max_size=5), share=st.floats(0, 1))
def test_every_detection_comes_back_as_it_was(
    storage: Storage, points: list[Keypoint], share: float
) -> None:
    detection = Detection("bus", share, tuple(points), 3, 4, Box(0, 0.5, 1.25, math.pi))
    task = len(storage.queued(0, 1)) + sum(storage.predictions_by_status().values()) + 1
    [row] = ask(storage, task)
    storage.finish(row.id, detection)
    assert fetched(storage, row.id).detection == detection


def test_what_was_found_first_stays(any_storage: Storage) -> None:
    row = ready(any_storage)
    other = Detection("car", 0.5, (), 640, 480, DETECTION.box)
    any_storage.finish(row, other)
    any_storage.fail(row, "too late")
    assert any_storage.try_again(row, "too late", limit=0)
    found = fetched(any_storage, row)
    assert (found.status, found.detection, found.reason) == ("ready", DETECTION, None)


def test_a_failure_that_may_pass_is_tried_again_up_to_a_limit(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    assert any_storage.try_again(row.id, "no network", limit=2)
    assert any_storage.try_again(row.id, "no network", limit=2)
    waiting = fetched(any_storage, row.id)
    assert (waiting.status, waiting.reason, waiting.failures) == ("queued", "no network", 2)
    assert not any_storage.try_again(row.id, "still no network", limit=2)
    found = fetched(any_storage, row.id)
    assert (found.status, found.reason) == ("failed", "still no network")
    assert found.finished_at is not None


def test_a_start_that_was_interrupted_does_not_count(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    begun = any_storage.begin(row.id)
    assert begun is not None
    assert begun.attempts == 1
    any_storage.take_back(row.id)
    found = fetched(any_storage, row.id)
    assert (found.attempts, found.started_at) == (0, None)


def test_a_row_that_is_not_there_cannot_be_begun(any_storage: Storage) -> None:
    assert any_storage.begin(1) is None


def test_one_of_many_goes_on_to_the_next_round(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    assert sum(at_once(8, lambda _: any_storage.next_round(row.id, 1))) == 1
    assert fetched(any_storage, row.id).round == 2
    any_storage.finish(row.id, DETECTION)
    assert not any_storage.next_round(row.id, 2)


def test_rows_that_wait_for_a_worker_come_page_by_page(any_storage: Storage) -> None:
    rows = ask(any_storage, 1, 2, 3, 4)
    any_storage.finish(rows[1].id, DETECTION)
    first = any_storage.queued(0, 2)
    assert first == [(rows[0].id, 1), (rows[2].id, 1)]
    assert any_storage.queued(first[-1][0], 2) == [(rows[3].id, 1)]


def test_a_reason_that_no_database_takes_is_made_fit(any_storage: Storage) -> None:
    rows = ask(any_storage, 1, 2)
    any_storage.fail(rows[0].id, "a\0b \ud800 c")
    any_storage.fail(rows[1].id, "long " * LONGEST_REASON)
    assert fetched(any_storage, rows[0].id).reason == "a b ? c"
    assert len(fetched(any_storage, rows[1].id).reason or "") == LONGEST_REASON


# The delivery


def test_one_of_many_delivers(any_storage: Storage) -> None:
    row = ready(any_storage)
    won = at_once(12, lambda _: deliver(any_storage, row))
    assert sum(token is not None for token in won) == 1
    found = fetched(any_storage, row)
    assert found.deliveries == 1
    assert found.delivery is not None
    assert (found.delivery.way, found.delivery.sent) == ("push", {"result": []})


def test_a_reply_and_a_worker_never_both_deliver(any_storage: Storage) -> None:
    for task in range(1, 7):
        row = ready(any_storage, task)

        def act(number: int, row: int = row) -> bool:
            if number % 2:
                return deliver(any_storage, row) is not None
            token = any_storage.hold(row, 60, only_if_due=True)
            return token is not None and deliver(any_storage, row, token=token) is not None

        assert sum(at_once(6, act)) == 1, task


def test_what_is_not_ready_is_not_delivered(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    assert deliver(any_storage, row.id) is None
    assert any_storage.hold(row.id, 60, only_if_due=False) is None


def test_one_of_many_holds(any_storage: Storage) -> None:
    row = ready(any_storage)
    won = at_once(8, lambda _: any_storage.hold(row, 60, only_if_due=True))
    assert sum(token is not None for token in won) == 1


def test_a_hold_ends_by_itself_and_its_holder_comes_too_late(any_storage: Storage) -> None:
    row = ready(any_storage)
    late = any_storage.hold(row, 60, only_if_due=True)
    assert late is not None
    let_time_pass(any_storage, row)
    token = any_storage.hold(row, 60, only_if_due=True)
    assert token is not None
    assert deliver(any_storage, row, token=late) is None
    assert any_storage.hold_on(row, late, 60) is None
    any_storage.let_go(row, late, reason="late", busy_until=None, check_at=None)
    assert fetched(any_storage, row).busy_until == token
    longer = any_storage.hold_on(row, token, 90)
    assert longer is not None
    assert deliver(any_storage, row, token=longer) is not None


def test_nobody_delivers_what_somebody_else_holds(any_storage: Storage) -> None:
    row = ready(any_storage)
    assert any_storage.hold(row, 60, only_if_due=True)
    assert deliver(any_storage, row) is None


def test_a_delivery_counts_on_from_the_last_one(any_storage: Storage) -> None:
    row = ready(any_storage)
    assert deliver(any_storage, row)
    let_time_pass(any_storage, row)
    assert deliver(any_storage, row, number=1) is None
    assert deliver(any_storage, row, number=3) is None
    assert deliver(any_storage, row, number=2)
    assert fetched(any_storage, row).deliveries == 2
    assert any_storage.deliveries_by_way() == {"push": 2}


def test_a_confirmed_delivery_has_its_key_and_nothing_more_to_do(any_storage: Storage) -> None:
    row = ready(any_storage)
    token = deliver(any_storage, row)
    any_storage.confirm(row, 77, number=1, token=token)
    found = fetched(any_storage, row)
    assert found.delivery is not None
    assert found.delivery.label_studio_id == 77
    assert found.delivery.confirmed_at is not None
    assert (found.busy_until, found.check_at) == (None, None)


def test_a_web_process_that_waits_is_left_to_deliver(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    until = now() + timedelta(seconds=60)
    any_storage.wait_for([row.id], until)
    any_storage.finish(row.id, DETECTION)
    assert any_storage.due(10) == []
    assert any_storage.hold(row.id, 60, only_if_due=True) is None
    assert fetched(any_storage, row.id).check_at == until
    assert deliver(any_storage, row.id)


def test_what_nobody_waits_for_any_more_is_due(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    until = now() + timedelta(seconds=60)
    any_storage.wait_for([row.id], until)
    any_storage.finish(row.id, DETECTION)
    any_storage.stop_waiting([row.id], until)
    assert any_storage.due(10) == [row.id]


def test_a_web_process_that_died_waiting_is_not_waited_for(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    any_storage.wait_for([row.id], now() + timedelta(seconds=60))
    any_storage.finish(row.id, DETECTION)
    let_time_pass(any_storage, row.id)
    assert any_storage.due(10) == [row.id]
    assert any_storage.hold(row.id, 60, only_if_due=True)


def test_the_longer_of_two_waits_counts(any_storage: Storage) -> None:
    [row] = ask(any_storage, 1)
    short, long = now() + timedelta(seconds=20), now() + timedelta(seconds=60)
    for first, second in ((short, long), (long, short)):
        any_storage.wait_for([row.id], first)
        any_storage.wait_for([row.id], second)
        any_storage.stop_waiting([row.id], short)
        assert fetched(any_storage, row.id).waiting_until == long
        any_storage.stop_waiting([row.id], long)
        assert fetched(any_storage, row.id).waiting_until is None


def test_what_is_due_longest_comes_first(any_storage: Storage) -> None:
    rows = [ready(any_storage, task) for task in (1, 2, 3)]
    any_storage.check_now([rows[0]])
    assert any_storage.due(2) == [rows[1], rows[2]]
    assert any_storage.due(10) == [rows[1], rows[2], rows[0]]


def test_whoever_dies_holding_leaves_it_due(any_storage: Storage) -> None:
    row = ready(any_storage)
    assert any_storage.hold(row, 60, only_if_due=True)
    assert any_storage.due(10) == []
    let_time_pass(any_storage, row)
    assert any_storage.due(10) == [row]


def test_what_was_put_off_is_due_when_it_is_time(any_storage: Storage) -> None:
    row = ready(any_storage)
    token = any_storage.hold(row, 60, only_if_due=True)
    assert token is not None
    later = now() + timedelta(seconds=30)
    any_storage.let_go(row, token, reason="it is down", busy_until=None, check_at=later)
    found = fetched(any_storage, row)
    assert (found.reason, found.checks, found.check_at) == ("it is down", 1, later)
    assert any_storage.due(10) == []
    let_time_pass(any_storage, row)
    assert any_storage.due(10) == [row]


def test_what_is_only_looked_at_while_drawing_is_never_due(any_storage: Storage) -> None:
    any_storage.save_label_config(UID, "<View/>")
    [row] = any_storage.request(
        UID, VERSION, [wanted(1)], retry_failed_before=LONG_AGO, to_deliver=False
    )
    any_storage.finish(row.id, DETECTION)
    assert any_storage.due(10) == []
    assert any_storage.hold(row.id, 60, only_if_due=False) is None
    [same] = ask(any_storage, 1)
    assert same.id == row.id
    assert any_storage.due(10) == [row.id]
    any_storage.request(UID, VERSION, [wanted(1)], retry_failed_before=LONG_AGO, to_deliver=False)
    assert any_storage.due(10) == [row.id]


def test_what_was_asked_for_while_drawing_is_told_last(any_storage: Storage) -> None:
    [asked] = ask(any_storage, 1)
    [drawn] = any_storage.request(
        UID, VERSION, [wanted(1, "box")], retry_failed_before=LONG_AGO, to_deliver=False
    )
    assert [row.id for row in any_storage.of_task(1)] == [asked.id, drawn.id]


# Events


def test_events_come_back_whole_and_in_order(any_storage: Storage) -> None:
    body = {
        "action": "ANNOTATION_CREATED",
        "text": "é \u0000 \U0001f600 \ud83d",
        "n": [1, 2.5, None],
    }
    first = any_storage.save_event("ANNOTATION_CREATED", 3, body)
    second = any_storage.save_event("START_TRAINING", None, {})
    [one, other] = any_storage.events()
    assert (one.id, one.action, one.project_id, one.body) == (first, "ANNOTATION_CREATED", 3, body)
    assert (other.id, other.project_id) == (second, None)
    assert [each.id for each in any_storage.events(after=first)] == [second]
    assert [each.id for each in any_storage.events(limit=1)] == [first]
    assert one.received_at <= now()
