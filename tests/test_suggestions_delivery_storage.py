from datetime import timedelta

from conftest import at_once
from prediction_rows import (
    DETECTION,
    LONG_AGO,
    UID,
    VERSION,
    ask,
    fetched,
    let_time_pass,
    ready,
    wanted,
)

from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.outages.records import Cause
from backend.suggestions.delivery_storage import DeliverySchedule, DeliveryStorage
from backend.suggestions.records import DeliveryLease
from backend.suggestions.storage import PredictionStorage


def deliver(
    database: Database, row: int, *, number: int = 1, lease: DeliveryLease | None = None
) -> DeliveryLease | None:
    return DeliveryStorage(database).record_delivery(
        row, "push", {"result": []}, number=number, lease=lease, settles_in=60, check_in=120
    )


def acquire(
    database: Database, row: int, *, only_if_due: bool = True, seconds: float = 60
) -> DeliveryLease | None:
    return DeliveryStorage(database).acquire(row, seconds, only_if_due=only_if_due)


def test_one_of_many_delivers(any_database: Database) -> None:
    row = ready(any_database)
    won = at_once(12, lambda _: deliver(any_database, row))
    assert sum(lease is not None for lease in won) == 1
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
            lease = acquire(any_database, row)
            return lease is not None and deliver(any_database, row, lease=lease) is not None

        assert sum(at_once(6, act)) == 1, task


def test_what_is_not_ready_is_not_delivered(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    assert deliver(any_database, row.id) is None
    assert acquire(any_database, row.id, only_if_due=False) is None


def test_one_of_many_acquires_the_lease(any_database: Database) -> None:
    row = ready(any_database)
    won = at_once(8, lambda _: acquire(any_database, row))
    assert sum(lease is not None for lease in won) == 1


def test_a_lease_expires_and_its_holder_comes_too_late(any_database: Database) -> None:
    row, storage = ready(any_database), DeliveryStorage(any_database)
    lost = acquire(any_database, row)
    assert lost is not None
    let_time_pass(any_database, row)
    lease = acquire(any_database, row)
    assert lease is not None
    assert deliver(any_database, row, lease=lost) is None
    assert storage.extend_all([lost], 60) == {}
    storage.release(lost, Cause("late"), busy_until=None, check_at=None)
    assert fetched(any_database, row).busy_until == lease.expires_at
    extended = storage.extend_all([lease], 90).get(row)
    assert extended is not None
    assert deliver(any_database, row, lease=extended) is not None


def test_a_lease_that_was_extended_is_no_longer_of_use(any_database: Database) -> None:
    row, storage = ready(any_database), DeliveryStorage(any_database)
    lease = acquire(any_database, row)
    assert lease is not None
    extended = storage.extend_all([lease], 90).get(row)
    assert extended is not None
    assert fetched(any_database, row).busy_until == extended.expires_at > lease.expires_at
    assert storage.extend_all([lease], 60) == {}
    assert deliver(any_database, row, lease=lease) is None


def test_only_the_holder_of_the_lease_delivers(any_database: Database) -> None:
    row = ready(any_database)
    assert acquire(any_database, row)
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
    lease = deliver(any_database, row)
    assert lease is not None
    DeliveryStorage(any_database).confirm(lease, 77, number=1)
    found = fetched(any_database, row)
    assert found.delivery is not None
    assert found.delivery.label_studio_id == 77
    assert found.delivery.confirmed_at is not None
    assert (found.busy_until, found.check_at) == (None, None)


def test_a_web_process_that_waits_is_left_to_deliver(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    until = now() + timedelta(seconds=60)
    DeliverySchedule(any_database).reserve_for_reply([row.id], until)
    PredictionStorage(any_database).finish(row.id, DETECTION)
    assert DeliverySchedule(any_database).due(10) == []
    assert acquire(any_database, row.id) is None
    assert fetched(any_database, row.id).check_at == until
    assert deliver(any_database, row.id)


def test_what_nobody_waits_for_any_more_is_due(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    until = now() + timedelta(seconds=60)
    DeliverySchedule(any_database).reserve_for_reply([row.id], until)
    PredictionStorage(any_database).finish(row.id, DETECTION)
    DeliverySchedule(any_database).end_reservation([row.id], until)
    assert DeliverySchedule(any_database).due(10) == [row.id]


def test_a_web_process_that_died_waiting_is_not_waited_for(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    DeliverySchedule(any_database).reserve_for_reply([row.id], now() + timedelta(seconds=60))
    PredictionStorage(any_database).finish(row.id, DETECTION)
    let_time_pass(any_database, row.id)
    assert DeliverySchedule(any_database).due(10) == [row.id]
    assert acquire(any_database, row.id)


def test_the_longer_of_two_waits_counts(any_database: Database) -> None:
    [row] = ask(any_database, 1)
    short, long = now() + timedelta(seconds=20), now() + timedelta(seconds=60)
    for first, second in ((short, long), (long, short)):
        DeliverySchedule(any_database).reserve_for_reply([row.id], first)
        DeliverySchedule(any_database).reserve_for_reply([row.id], second)
        DeliverySchedule(any_database).end_reservation([row.id], short)
        assert fetched(any_database, row.id).waiting_until == long
        DeliverySchedule(any_database).end_reservation([row.id], long)
        assert fetched(any_database, row.id).waiting_until is None


def test_what_is_due_longest_comes_first(any_database: Database) -> None:
    rows = [ready(any_database, task) for task in (1, 2, 3)]
    DeliverySchedule(any_database).make_due([rows[0]])
    assert DeliverySchedule(any_database).due(2) == [rows[1], rows[2]]
    assert DeliverySchedule(any_database).due(10) == [rows[1], rows[2], rows[0]]


def test_whoever_dies_with_a_lease_leaves_the_prediction_due(any_database: Database) -> None:
    row = ready(any_database)
    assert acquire(any_database, row)
    assert DeliverySchedule(any_database).due(10) == []
    let_time_pass(any_database, row)
    assert DeliverySchedule(any_database).due(10) == [row]


def test_what_was_put_off_is_due_when_it_is_time(any_database: Database) -> None:
    row = ready(any_database)
    lease = acquire(any_database, row)
    assert lease is not None
    later = now() + timedelta(seconds=30)
    DeliveryStorage(any_database).release(
        lease, Cause("it is down"), busy_until=None, check_at=later
    )
    found = fetched(any_database, row)
    assert (found.reason, found.checks, found.check_at) == ("it is down", 1, later)
    assert DeliverySchedule(any_database).due(10) == []
    let_time_pass(any_database, row)
    assert DeliverySchedule(any_database).due(10) == [row]


def test_what_is_only_looked_at_while_drawing_is_never_due(any_database: Database) -> None:
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    [row] = PredictionStorage(any_database).request(
        UID, VERSION, [wanted(1)], retry_failed_before=LONG_AGO, to_deliver=False
    )
    PredictionStorage(any_database).finish(row.id, DETECTION)
    assert DeliverySchedule(any_database).due(10) == []
    assert acquire(any_database, row.id, only_if_due=False) is None
    [same] = ask(any_database, 1)
    assert same.id == row.id
    assert DeliverySchedule(any_database).due(10) == [row.id]
    PredictionStorage(any_database).request(
        UID, VERSION, [wanted(1)], retry_failed_before=LONG_AGO, to_deliver=False
    )
    assert DeliverySchedule(any_database).due(10) == [row.id]
