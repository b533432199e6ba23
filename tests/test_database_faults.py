"""A database that is damaged, read-only, locked or newer says so in one sentence, at once."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from conftest import free_port
from flask.testing import FlaskClient
from serving import PLAIN_ENVIRONMENT, ROOT
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backend.database import connection as connection_module
from backend.database.connection import Database
from backend.database.faults import fault_of
from backend.database.prepare import DatabaseUnusable, prepare_database
from backend.settings import Settings

REPORT = ["report", "--out", "report.html"]
# Each with what it must be given to get as far as its database.
COMMANDS = (
    ["serve"],
    ["web"],
    ["worker"],
    ["trainer"],
    ["models"],
    ["jobs"],
    REPORT,
    ["export", "--format", "csv"],
    ["learn", "--project", "3"],
    ["order", "--project", "3"],
    ["prelabel", "--project", "3"],
    ["train", "--project", "3"],
    ["sync"],
)


def run(command: list[str], folder: Path, *before: str) -> tuple[int, str]:
    """Run `python -m backend COMMAND`, after words such as `nice`: its status and its report."""
    environment = PLAIN_ENVIRONMENT | {
        "DATA_DIR": str(folder),
        "PORT": str(free_port()),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "LABEL_STUDIO_URL": "http://127.0.0.1:1",
        "LABEL_STUDIO_API_KEY": "token",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ended = subprocess.run(
        [*before, sys.executable, "-m", "backend", *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ended.returncode, ended.stderr


def assert_says(said: str, sentence: str) -> None:
    """It is said once, and there is no traceback."""
    assert sentence in said, said
    assert "Traceback" not in said, said
    assert said.count("expected to open the database") == 1


@pytest.fixture
def folder(tmp_path: Path, migrated_sqlite: Path) -> Path:
    """A data folder with a database of today."""
    shutil.copy(migrated_sqlite, tmp_path / "backend.sqlite3")
    return tmp_path


def spoil(path: Path) -> None:
    """Overwrite some pages after the first ones, as a disk that fails does."""
    with path.open("r+b") as file:
        size = path.stat().st_size
        for place in range(8192, size, 4096 * 3):
            file.seek(place)
            file.write(b"\xa5" * 4096)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_says_that_the_file_is_no_database(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "backend.sqlite3").write_bytes(b"garbage" * 2000)
    status, said = run(command, tmp_path)
    assert status == os.EX_CONFIG
    assert_says(said, "it is damaged, or not a database (file is not a database)")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_says_that_a_newer_version_has_used_the_database(
    command: list[str], folder: Path
) -> None:
    with closing(sqlite3.connect(folder / "backend.sqlite3")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    status, said = run(command, folder)
    assert status == os.EX_CONFIG
    assert_says(said, "it is newer than this program")


@pytest.mark.parametrize("command", [["serve"], ["worker"], REPORT], ids=lambda one: one[0])
def test_pages_that_are_damaged_are_found_before_anything_reads_them(
    command: list[str], folder: Path
) -> None:
    spoil(folder / "backend.sqlite3")
    status, said = run(command, folder)
    assert status == os.EX_CONFIG
    assert_says(said, "it is damaged")
    assert "python -m backend restore FILE" in said


def bound_by_modes() -> list[str]:
    """What to begin a command with so that the modes of files hold for it, also for root."""
    if os.geteuid() != 0:
        return []
    program = shutil.which("setpriv")
    if program is None:
        pytest.skip("no setpriv on this machine: root may write everywhere")
    return [program, "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.parametrize("command", [["serve"], ["web"], REPORT], ids=lambda one: one[0])
def test_a_database_that_may_only_be_read_says_so(command: list[str], folder: Path) -> None:
    (folder / "backend.sqlite3").chmod(0o444)
    folder.chmod(0o555)
    try:
        status, said = run(command, folder, *bound_by_modes())
    finally:
        folder.chmod(0o755)
    assert status == os.EX_CONFIG
    assert_says(said, "it cannot be written")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep an SQLite database locked, as a database browser does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield


def test_a_locked_database_says_so_and_may_be_free_after_a_restart(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "LOCK_WAIT", 0.05)
    with (
        locked(folder / "backend.sqlite3"),
        pytest.raises(DatabaseUnusable, match="another program keeps it locked") as caught,
    ):
        prepare_database(Settings(data_dir=folder))
    assert caught.value.may_pass


def test_a_locked_table_of_postgresql_says_so(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "LOCK_TIMEOUT", "100ms")
    url = postgres_database.engine.url.render_as_string(hide_password=False)
    with postgres_database.writing() as connection:
        connection.execute(text("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DatabaseUnusable, match="keeps it locked") as caught:
            prepare_database(Settings(database_url=url))
    assert caught.value.may_pass


def test_a_postgresql_that_only_reads_says_so(postgres_database: Database) -> None:
    url = postgres_database.engine.url.render_as_string(hide_password=False)
    with postgres_database.engine.connect() as connection:
        name = postgres_database.engine.url.database
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        connection.commit()
    postgres_database.close()
    with pytest.raises(DatabaseUnusable, match="PostgreSQL only reads") as caught:
        prepare_database(Settings(database_url=url))
    assert not caught.value.may_pass


def test_what_is_wrong_with_an_address_of_postgresql_is_told(postgres_server: str) -> None:
    for url, expected in {
        f"{postgres_server}/nowhere": "the server has no such database",
        postgres_server.replace("tester@", "nobody@") + "/postgres": "has no such database or user",
        "postgresql://anna:swordfish@127.0.0.1:1/x": "it does not answer",
        "postgresql://anna:swordfish@nowhere.invalid/x": "it does not answer",
    }.items():
        with pytest.raises(DatabaseUnusable, match=expected) as caught:
            prepare_database(Settings(database_url=url))
        assert "swordfish" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_refused_password_is_told(postgres_database: Database) -> None:
    """As SQLSTATE 28P01 says it: the server of the tests trusts everyone."""
    refused = psycopg.errors.InvalidPassword("password authentication failed for user anna")
    assert fault_of(DBAPIError.instance("", {}, refused, psycopg.Error)).kind == "refused"


def test_the_web_process_answers_503_while_its_database_is_damaged(
    client: FlaskClient, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database.close()
    (tmp_path / "backend.sqlite3").write_bytes(b"garbage" * 2000)
    answer = client.get("/agreement")
    assert answer.status_code == 503
    assert "it is damaged" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_check_of_a_large_database_ends_in_time(database: Database) -> None:
    assert database.damage(seconds=60) is None
    with database.writing() as connection:
        values = [{"body": "x" * 1000} for _ in range(2000)]
        connection.execute(text("CREATE TABLE large (id INTEGER PRIMARY KEY, body TEXT)"))
        connection.execute(text("CREATE INDEX ix_large ON large (body)"))
        connection.execute(text("INSERT INTO large (body) VALUES (:body)"), values)
    assert database.damage(seconds=0) is None
    with database.reading() as connection:  # the interruption is no longer there
        assert connection.execute(text("SELECT count(*) FROM large")).scalar() == 2000
