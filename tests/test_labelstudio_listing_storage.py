"""How far a listing has come is remembered until it ends, or for an hour."""

from datetime import timedelta

import pytest

from backend.database.connection import Database, now
from backend.labelstudio.listing_storage import GOES_ON_WITHIN, LONGEST, ListingStorage, Position

UID = "3.1795347724"


def test_a_listing_goes_on_where_it_was(any_database: Database) -> None:
    storage = ListingStorage(any_database)
    first = storage.position(UID, "sync")
    assert (first.after, dict(first.counts)) == (0, {})
    for after in (100, 200):
        storage.save(UID, "sync", Position(after, first.began_at, {"tasks": after}))
    found = storage.position(UID, "sync")
    assert (found.after, found.began_at, found.counts) == (200, first.began_at, {"tasks": 200})


def test_listings_of_other_projects_and_for_other_purposes_do_not_matter(
    any_database: Database,
) -> None:
    storage = ListingStorage(any_database)
    storage.save(UID, "sync", Position(100))
    storage.save(UID, "prelabel v", Position(7))
    assert storage.position("4.1", "sync").after == 0
    storage.end(UID, "prelabel v")
    assert storage.position(UID, "prelabel v").after == 0
    assert storage.position(UID, "sync").after == 100


def test_a_listing_that_began_long_ago_begins_anew(any_database: Database) -> None:
    storage = ListingStorage(any_database)
    storage.save(UID, "sync", Position(100, now() - LONGEST - timedelta(minutes=1)))
    assert storage.position(UID, "sync").after == 0


def test_a_listing_that_was_interrupted_long_ago_begins_anew(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = ListingStorage(any_database)
    storage.save(UID, "sync", Position(100))
    later = now() + GOES_ON_WITHIN + timedelta(minutes=1)
    monkeypatch.setattr("backend.labelstudio.listing_storage.now", lambda: later)
    assert storage.position(UID, "sync").after == 0
