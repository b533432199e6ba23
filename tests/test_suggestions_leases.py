"""Leases are renewed while a process is at work, on both databases."""

import pytest
from conftest import wait_until
from prediction_rows import fetched, let_time_pass, ready
from sqlalchemy.exc import OperationalError

from backend.database.connection import Database
from backend.suggestions import leases
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.leases import KeptLeases
from backend.suggestions.records import DeliveryLease


@pytest.fixture(autouse=True)
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWED_EVERY_SECONDS", 0.01)


def acquired(database: Database, *tasks: int) -> dict[int, DeliveryLease]:
    rows = [ready(database, task) for task in tasks]
    return DeliveryStorage(database).acquire_all(rows, 15, only_if_due=True)


def is_renewed(database: Database, lease: DeliveryLease) -> bool:
    until = fetched(database, lease.prediction_id).busy_until
    return until is not None and until > lease.expires_at


def test_leases_are_renewed_until_they_are_taken(any_database: Database) -> None:
    storage, held = DeliveryStorage(any_database), acquired(any_database, 1, 2)
    first, second = held.values()
    with KeptLeases(storage, held) as kept:
        wait_until(lambda: is_renewed(any_database, first) and is_renewed(any_database, second))
        taken = kept.take(first.prediction_id)
        assert fetched(any_database, first.prediction_id).busy_until == taken.expires_at
        before = fetched(any_database, second.prediction_id).busy_until
        wait_until(
            lambda: fetched(any_database, second.prediction_id).busy_until != before,
        )
        assert fetched(any_database, first.prediction_id).busy_until == taken.expires_at
    after = fetched(any_database, second.prediction_id).busy_until
    kept.take(second.prediction_id)
    kept.renew()
    assert fetched(any_database, second.prediction_id).busy_until == after
    assert storage.extend_all([taken], 60)


def test_a_lease_that_another_process_has_got_is_not_taken_back(any_database: Database) -> None:
    storage, held = DeliveryStorage(any_database), acquired(any_database, 1, 2)
    lost, other = held.values()
    let_time_pass(any_database, lost.prediction_id)
    [theirs] = storage.acquire_all([lost.prediction_id], 15, only_if_due=True).values()
    with KeptLeases(storage, held) as kept:
        wait_until(lambda: is_renewed(any_database, other))
        assert fetched(any_database, lost.prediction_id).busy_until == theirs.expires_at
        assert storage.extend_all([kept.take(lost.prediction_id)], 60) == {}


def test_a_database_that_fails_for_a_moment_does_not_end_the_renewal(
    any_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    [lease] = (held := acquired(any_database, 1)).values()
    extend_all, failed = DeliveryStorage.extend_all, []

    def fail_once(
        self: DeliveryStorage, given: list[DeliveryLease], seconds: float
    ) -> dict[int, DeliveryLease]:
        if not failed:
            failed.append(given)
            raise OperationalError("UPDATE", {}, Exception("the database is away"))
        return extend_all(self, given, seconds)

    monkeypatch.setattr(DeliveryStorage, "extend_all", fail_once)
    with KeptLeases(DeliveryStorage(any_database), held):
        wait_until(lambda: is_renewed(any_database, lease))
    assert "Leases are not renewed: " in caplog.text
