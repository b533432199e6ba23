import importlib
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from conftest import at_once
from prediction_rows import UID
from serving import ROOT
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from backend.database import connection as connection_module
from backend.database.connection import Database, StorageError, now
from backend.database.schema import metadata
from backend.labelstudio.projects import ProjectStorage, projects
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.storage import EventStorage

TABLE_MODULES = (
    "backend.durations.tables",
    "backend.labelstudio.listing_storage",
    "backend.labelstudio.projects",
    "backend.labelstudio.tables",
    "backend.learning.tables",
    "backend.ordering.tables",
    "backend.outages.tables",
    "backend.suggestions.tables",
    "backend.training.tables",
    "backend.upkeep.tables",
    "backend.verdicts.tables",
)


def test_every_module_of_tables_is_compared_with_the_migrations() -> None:
    packages = sorted(path.parent.name for path in ROOT.glob("backend/*/tables.py"))
    named = [name for name in TABLE_MODULES if name.endswith(".tables")]
    assert [f"backend.{package}.tables" for package in packages] == named


def test_the_migrations_lead_to_the_tables_that_the_code_uses(any_database: Database) -> None:
    for module in TABLE_MODULES:
        importlib.import_module(module)
    with any_database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_many_processes_may_migrate_at_once(database_url: str) -> None:
    storages = [Database(database_url) for _ in range(4)]
    at_once(4, lambda number: storages[number].migrate())
    assert PredictionStorage(storages[0]).predictions_by_status() == {}
    for each in storages:
        each.close()


def test_many_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    for number in range(40):  # without a retry one in 25 fails
        databases = [Database(f"sqlite:///{tmp_path}/{number}.sqlite3") for _ in range(8)]

        def open_one(index: int, databases: list[Database] = databases) -> None:
            with databases[index].reading() as connection:
                assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"

        at_once(8, open_one)
        for each in databases:
            each.close()


def test_a_database_that_stays_locked_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "LOCK_WAIT", 0.05)
    holder = sqlite3.connect(tmp_path / "locked.sqlite3", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    database = Database(f"sqlite:///{tmp_path}/locked.sqlite3")
    with pytest.raises(OperationalError, match="locked"), database.reading():
        pass
    holder.close()
    database.close()


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
        assert connection.execute(text("PRAGMA journal_size_limit")).scalar() == 64 * 2**20


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


def test_a_postgresql_that_cannot_be_reached_any_more_is_given_up(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.reading() as connection:
        given = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    assert (given["tcp_user_timeout"], given["keepalives_count"]) == ("30000", "3")
    database.close()


def test_the_address_of_a_postgresql_may_set_other_timeouts(postgres_url: str) -> None:
    database = Database(f"{postgres_url}?tcp_user_timeout=5000")
    with database.reading() as connection:
        given = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    assert (given["tcp_user_timeout"], given["connect_timeout"]) == ("5000", "10")
    database.close()
