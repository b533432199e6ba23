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

from backend.database.connection import CHUNK, Database, StorageError, now
from backend.database.schema import metadata
from backend.database.text import LONGEST_REASON
from backend.labelstudio.projects import ProjectStorage, projects
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.records import Prediction, Wanted
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions
from backend.verdicts.storage import EventStorage
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


def ask(database: Database, *tasks: int, before: datetime = LONG_AGO) -> list[Prediction]:
    ProjectStorage(database).save_label_config(UID, "<View/>")
    asked = [wanted(task) for task in tasks]
    return PredictionStorage(database).request(UID, VERSION, asked, retry_failed_before=before)


def ready(database: Database, task: int = 1) -> int:
    """A prediction that nobody waits for and nobody has delivered."""
    [row] = ask(database, task)
    PredictionStorage(database).begin(row.id)
    PredictionStorage(database).finish(row.id, DETECTION)
    return row.id


def deliver(database: Database, row: int, *, number: int = 1, token: datetime | None = None) -> Any:
    return DeliveryStorage(database).deliver(
        row, "push", {"result": []}, number=number, token=token, settles_in=60, check_in=120
    )


def let_time_pass(database: Database, row: int) -> None:
    """As if every wait and every hold of a row had ended long ago."""
    with database.writing() as connection:
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


def fetched(database: Database, row: int) -> Prediction:
    found = PredictionStorage(database).prediction(row)
    assert found is not None
    return found


# The database


def test_the_migrations_lead_to_the_tables_that_the_code_uses(any_database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    with any_database.reading() as connection:
        found = differences(connection)
    mine = {"projects", "predictions", "deliveries", "events"}
    assert [each for each in found if _table_of(each) in mine] == []


def _table_of(difference: Any) -> str:
    first = difference[0] if isinstance(difference, list) else difference
    name: str = getattr(first[1], "name", None) or first[2]
    return name


def test_many_processes_may_migrate_at_once(database_url: str) -> None:
    storages = [Database(database_url) for _ in range(4)]
    at_once(4, lambda number: storages[number].migrate())
    assert PredictionStorage(storages[0]).predictions_by_status() == {}
    for each in storages:
        each.close()


def test_a_database_of_a_newer_version_is_refused(any_database: Database) -> None:
    with any_database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="newer version"):
        any_database.migrate()


def test_the_folder_of_the_database_is_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/deep/down/backend.sqlite3")
    database.migrate()
    database.close()
    assert (tmp_path / "deep/down/backend.sqlite3").is_file()


def test_migrating_works_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite:///backend.sqlite3")
    database.migrate()
    database.close()
    assert (tmp_path / "backend.sqlite3").is_file()


def test_sqlite_writes_ahead_and_minds_foreign_keys(database: Database) -> None:
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 10_000


def test_a_prediction_needs_a_project(any_database: Database) -> None:
    with pytest.raises(IntegrityError):
        PredictionStorage(any_database).request(
            "no.1", VERSION, [wanted(1)], retry_failed_before=LONG_AGO
        )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_common_name_of_postgresql_is_understood(postgres_url: str, scheme: str) -> None:
    database = Database(postgres_url.replace("postgresql", scheme, 1))
    database.migrate()
    assert PredictionStorage(database).predictions_by_status() == {}
    database.close()


@pytest.mark.parametrize("url", ["mysql://user:secret@host/name", "sqlite://"])
def test_other_databases_are_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(StorageError, match="sqlite:///") as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_writers_in_many_threads_wait_for_each_other(any_database: Database) -> None:
    at_once(8, lambda _: [EventStorage(any_database).save_event("ANY", 1, {}) for _ in range(10)])
    assert EventStorage(any_database).events_by_action() == {"ANY": 80}


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(projects.insert().values(uid=UID, changed_at=now()))
        assert ProjectStorage(database).project(UID) is None
    assert ProjectStorage(database).project(UID) is not None


@pytest.mark.parametrize("hours", [-11, 0, 5.5])
def test_a_moment_comes_back_as_it_was_whatever_its_zone(
    any_database: Database, hours: float
) -> None:
    moment = datetime(2026, 3, 29, 2, 30, 1, 234567, timezone(timedelta(hours=hours)))
    with any_database.writing() as connection:
        connection.execute(projects.insert().values(uid="1", changed_at=moment))
        found = connection.execute(select(projects.c.changed_at)).scalar_one()
    assert found == moment
    assert found.utcoffset() == timedelta(0)


# Projects


def test_a_project_keeps_host_and_token_together(any_database: Database) -> None:
    ProjectStorage(any_database).save_connection(
        UID, hostname="http://a", access_token="t", label_config="<V/>"
    )
    ProjectStorage(any_database).save_connection(
        UID, hostname="http://b", access_token=None, label_config="<V/>"
    )
    found = ProjectStorage(any_database).project(UID)
    assert found is not None
    assert (found.hostname, found.access_token) == ("http://b", None)


def test_a_new_label_config_leaves_host_and_token(any_database: Database) -> None:
    ProjectStorage(any_database).save_connection(
        UID, hostname="http://a", access_token="t", label_config="<V/>"
    )
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    found = ProjectStorage(any_database).project(UID)
    assert found is not None
    assert (found.hostname, found.access_token, found.label_config) == ("http://a", "t", "<View/>")


def test_what_is_known_of_a_project_is_not_written_again(any_database: Database) -> None:
    def changed() -> datetime:
        with any_database.reading() as connection:
            moment: datetime = connection.execute(select(projects.c.changed_at)).scalar_one()
            return moment

    for _ in range(2):
        ProjectStorage(any_database).save_connection(
            UID, hostname="http://a", access_token="t", label_config="<V/>"
        )
        first = changed()
        ProjectStorage(any_database).save_label_config(UID, "<V/>")
        assert changed() == first


# Asking


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
        DeliveryStorage(any_database).wait_for([row.id for row in rows], until)
        DeliveryStorage(any_database).stop_waiting([row.id for row in rows[::-1]], until)
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
    PredictionStorage(any_database).begin(row.id)
    PredictionStorage(any_database).fail(row.id, "not an image")
    [early] = ask(any_database, 1, before=LONG_AGO)
    assert (early.status, early.reason, early.round) == ("failed", "not an image", 1)
    [late] = ask(any_database, 1, before=now() + timedelta(seconds=1))
    assert (late.status, late.reason, late.round) == ("queued", None, 2)
    assert (late.attempts, late.failures, late.finished_at) == (0, 0, None)


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


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(points=st.lists(keypoints, max_size=5), share=st.floats(0, 1))
def test_every_detection_comes_back_as_it_was(
    database: Database, points: list[Keypoint], share: float
) -> None:
    detection = Detection("bus", share, tuple(points), 3, 4, Box(0, 0.5, 1.25, math.pi))
    task = (
        len(PredictionStorage(database).queued(0, 1))
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
    assert PredictionStorage(any_database).try_again(row, "too late", limit=0)
    found = fetched(any_database, row)
    assert (found.status, found.detection, found.reason) == ("ready", DETECTION, None)


def test_a_failure_that_may_pass_is_tried_again_up_to_a_limit(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    assert PredictionStorage(any_database).try_again(row.id, "no network", limit=2)
    assert PredictionStorage(any_database).try_again(row.id, "no network", limit=2)
    waiting = fetched(any_database, row.id)
    assert (waiting.status, waiting.reason, waiting.failures) == ("queued", "no network", 2)
    assert not PredictionStorage(any_database).try_again(row.id, "still no network", limit=2)
    found = fetched(any_database, row.id)
    assert (found.status, found.reason) == ("failed", "still no network")
    assert found.finished_at is not None


def test_a_start_that_was_interrupted_does_not_count(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    begun = PredictionStorage(any_database).begin(row.id)
    assert begun is not None
    assert begun.attempts == 1
    PredictionStorage(any_database).take_back(row.id)
    found = fetched(any_database, row.id)
    assert (found.attempts, found.started_at) == (0, None)


def test_a_row_that_is_not_there_cannot_be_begun(any_database: Database) -> None:
    assert PredictionStorage(any_database).begin(1) is None


def test_one_of_many_goes_on_to_the_next_round(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    assert sum(at_once(8, lambda _: PredictionStorage(any_database).next_round(row.id, 1))) == 1
    assert fetched(any_database, row.id).round == 2
    PredictionStorage(any_database).finish(row.id, DETECTION)
    assert not PredictionStorage(any_database).next_round(row.id, 2)


def test_rows_that_wait_for_a_worker_come_page_by_page(any_database: Database) -> None:
    rows = ask(any_database, 1, 2, 3, 4)
    PredictionStorage(any_database).finish(rows[1].id, DETECTION)
    first = PredictionStorage(any_database).queued(0, 2)
    assert first == [(rows[0].id, 1), (rows[2].id, 1)]
    assert PredictionStorage(any_database).queued(first[-1][0], 2) == [(rows[3].id, 1)]


def test_a_reason_that_no_database_takes_is_made_fit(any_database: Database) -> None:
    rows = ask(any_database, 1, 2)
    PredictionStorage(any_database).fail(rows[0].id, "a\0b \ud800 c")
    PredictionStorage(any_database).fail(rows[1].id, "long " * LONGEST_REASON)
    assert fetched(any_database, rows[0].id).reason == "a b ? c"
    assert len(fetched(any_database, rows[1].id).reason or "") == LONGEST_REASON


# The delivery


def test_one_of_many_delivers(any_database: Database) -> None:
    row = ready(any_database)
    won = at_once(12, lambda _: deliver(any_database, row))
    assert sum(token is not None for token in won) == 1
    found = fetched(any_database, row)
    assert found.deliveries == 1
    assert found.delivery is not None
    assert (found.delivery.way, found.delivery.sent) == ("push", {"result": []})


def test_a_reply_and_a_worker_never_both_deliver(any_database: Database) -> None:
    for task in range(1, 7):
        row = ready(any_database, task)

        def act(number: int, row: int = row) -> bool:
            if number % 2:
                return deliver(any_database, row) is not None
            token = DeliveryStorage(any_database).hold(row, 60, only_if_due=True)
            return token is not None and deliver(any_database, row, token=token) is not None

        assert sum(at_once(6, act)) == 1, task


def test_what_is_not_ready_is_not_delivered(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    assert deliver(any_database, row.id) is None
    assert DeliveryStorage(any_database).hold(row.id, 60, only_if_due=False) is None


def test_one_of_many_holds(any_database: Database) -> None:
    row = ready(any_database)
    won = at_once(8, lambda _: DeliveryStorage(any_database).hold(row, 60, only_if_due=True))
    assert sum(token is not None for token in won) == 1


def test_a_hold_ends_by_itself_and_its_holder_comes_too_late(any_database: Database) -> None:
    row = ready(any_database)
    late = DeliveryStorage(any_database).hold(row, 60, only_if_due=True)
    assert late is not None
    let_time_pass(any_database, row)
    token = DeliveryStorage(any_database).hold(row, 60, only_if_due=True)
    assert token is not None
    assert deliver(any_database, row, token=late) is None
    assert DeliveryStorage(any_database).hold_on(row, late, 60) is None
    DeliveryStorage(any_database).let_go(row, late, reason="late", busy_until=None, check_at=None)
    assert fetched(any_database, row).busy_until == token
    longer = DeliveryStorage(any_database).hold_on(row, token, 90)
    assert longer is not None
    assert deliver(any_database, row, token=longer) is not None


def test_nobody_delivers_what_somebody_else_holds(any_database: Database) -> None:
    row = ready(any_database)
    assert DeliveryStorage(any_database).hold(row, 60, only_if_due=True)
    assert deliver(any_database, row) is None


def test_a_delivery_counts_on_from_the_last_one(any_database: Database) -> None:
    row = ready(any_database)
    assert deliver(any_database, row)
    let_time_pass(any_database, row)
    assert deliver(any_database, row, number=1) is None
    assert deliver(any_database, row, number=3) is None
    assert deliver(any_database, row, number=2)
    assert fetched(any_database, row).deliveries == 2
    assert DeliveryStorage(any_database).deliveries_by_way() == {"push": 2}


def test_a_confirmed_delivery_has_its_key_and_nothing_more_to_do(any_database: Database) -> None:
    row = ready(any_database)
    token = deliver(any_database, row)
    DeliveryStorage(any_database).confirm(row, 77, number=1, token=token)
    found = fetched(any_database, row)
    assert found.delivery is not None
    assert found.delivery.label_studio_id == 77
    assert found.delivery.confirmed_at is not None
    assert (found.busy_until, found.check_at) == (None, None)


def test_a_web_process_that_waits_is_left_to_deliver(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    until = now() + timedelta(seconds=60)
    DeliveryStorage(any_database).wait_for([row.id], until)
    PredictionStorage(any_database).finish(row.id, DETECTION)
    assert DeliveryStorage(any_database).due(10) == []
    assert DeliveryStorage(any_database).hold(row.id, 60, only_if_due=True) is None
    assert fetched(any_database, row.id).check_at == until
    assert deliver(any_database, row.id)


def test_what_nobody_waits_for_any_more_is_due(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    until = now() + timedelta(seconds=60)
    DeliveryStorage(any_database).wait_for([row.id], until)
    PredictionStorage(any_database).finish(row.id, DETECTION)
    DeliveryStorage(any_database).stop_waiting([row.id], until)
    assert DeliveryStorage(any_database).due(10) == [row.id]


def test_a_web_process_that_died_waiting_is_not_waited_for(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    DeliveryStorage(any_database).wait_for([row.id], now() + timedelta(seconds=60))
    PredictionStorage(any_database).finish(row.id, DETECTION)
    let_time_pass(any_database, row.id)
    assert DeliveryStorage(any_database).due(10) == [row.id]
    assert DeliveryStorage(any_database).hold(row.id, 60, only_if_due=True)


def test_the_longer_of_two_waits_counts(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    short, long = now() + timedelta(seconds=20), now() + timedelta(seconds=60)
    for first, second in ((short, long), (long, short)):
        DeliveryStorage(any_database).wait_for([row.id], first)
        DeliveryStorage(any_database).wait_for([row.id], second)
        DeliveryStorage(any_database).stop_waiting([row.id], short)
        assert fetched(any_database, row.id).waiting_until == long
        DeliveryStorage(any_database).stop_waiting([row.id], long)
        assert fetched(any_database, row.id).waiting_until is None


def test_what_is_due_longest_comes_first(any_database: Database) -> None:
    rows = [ready(any_database, task) for task in (1, 2, 3)]
    DeliveryStorage(any_database).check_now([rows[0]])
    assert DeliveryStorage(any_database).due(2) == [rows[1], rows[2]]
    assert DeliveryStorage(any_database).due(10) == [rows[1], rows[2], rows[0]]


def test_whoever_dies_holding_leaves_it_due(any_database: Database) -> None:
    row = ready(any_database)
    assert DeliveryStorage(any_database).hold(row, 60, only_if_due=True)
    assert DeliveryStorage(any_database).due(10) == []
    let_time_pass(any_database, row)
    assert DeliveryStorage(any_database).due(10) == [row]


def test_what_was_put_off_is_due_when_it_is_time(any_database: Database) -> None:
    row = ready(any_database)
    token = DeliveryStorage(any_database).hold(row, 60, only_if_due=True)
    assert token is not None
    later = now() + timedelta(seconds=30)
    DeliveryStorage(any_database).let_go(
        row, token, reason="it is down", busy_until=None, check_at=later
    )
    found = fetched(any_database, row)
    assert (found.reason, found.checks, found.check_at) == ("it is down", 1, later)
    assert DeliveryStorage(any_database).due(10) == []
    let_time_pass(any_database, row)
    assert DeliveryStorage(any_database).due(10) == [row]


def test_what_is_only_looked_at_while_drawing_is_never_due(any_database: Database) -> None:
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    [row] = PredictionStorage(any_database).request(
        UID, VERSION, [wanted(1)], retry_failed_before=LONG_AGO, to_deliver=False
    )
    PredictionStorage(any_database).finish(row.id, DETECTION)
    assert DeliveryStorage(any_database).due(10) == []
    assert DeliveryStorage(any_database).hold(row.id, 60, only_if_due=False) is None
    [same] = ask(any_database, 1)
    assert same.id == row.id
    assert DeliveryStorage(any_database).due(10) == [row.id]
    PredictionStorage(any_database).request(
        UID, VERSION, [wanted(1)], retry_failed_before=LONG_AGO, to_deliver=False
    )
    assert DeliveryStorage(any_database).due(10) == [row.id]


def test_what_was_asked_for_while_drawing_is_told_last(any_database: Database) -> None:
    [asked] = ask(any_database, 1)
    [drawn] = PredictionStorage(any_database).request(
        UID, VERSION, [wanted(1, "box")], retry_failed_before=LONG_AGO, to_deliver=False
    )
    assert [row.id for row in PredictionStorage(any_database).of_task(1)] == [asked.id, drawn.id]


# Events


def test_events_come_back_whole_and_in_order(any_database: Database) -> None:
    body = {
        "action": "ANNOTATION_CREATED",
        "text": "é \u0000 \U0001f600 \ud83d",
        "n": [1, 2.5, None],
    }
    first = EventStorage(any_database).save_event("ANNOTATION_CREATED", 3, body)
    second = EventStorage(any_database).save_event("START_TRAINING", None, {})
    [one, other] = EventStorage(any_database).events()
    assert (one.id, one.action, one.project_id, one.body) == (first, "ANNOTATION_CREATED", 3, body)
    assert (other.id, other.project_id) == (second, None)
    assert [each.id for each in EventStorage(any_database).events(after=first)] == [second]
    assert [each.id for each in EventStorage(any_database).events(limit=1)] == [first]
    assert one.received_at <= now()
