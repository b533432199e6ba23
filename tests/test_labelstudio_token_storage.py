"""Tokens that `/setup` has brought and that are of no use leave the database, and its files."""

import tarfile
from pathlib import Path
from typing import Any

import pytest
from label_studio_fake import CONFIG, UID
from sqlalchemy import text
from test_upkeep_backup import settings_of

from backend.__main__ import main
from backend.commands.backup import back_up
from backend.contract.prepare import prepare_contract
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.token_storage import forget_tokens

FIRST, SECOND = "0123456789swordfish", "9876543210swordfish"
OTHER = "4.1795347724"
STUDIO = {"label_studio_url": "http://studio"}
KEY = {**STUDIO, "label_studio_api_key": "key"}
PASSWORD = {"basic_auth_user": "anna", "basic_auth_pass": "secret"}


@pytest.fixture
def stored(any_database: Database) -> Database:
    """A database with the tokens of two projects."""
    for uid, token in ((UID, FIRST), (OTHER, SECOND)):
        ProjectStorage(any_database).save_connection(
            uid, hostname="http://studio", access_token=token, label_config=CONFIG
        )
    return any_database


def tokens(database: Database) -> list[str | None]:
    return [each.access_token for each in ProjectStorage(database).projects()]


def bytes_of(database: Database) -> bytes:
    """What the files of the database hold of projects, as whoever gets a copy of them reads it."""
    if database.engine.dialect.name == "sqlite":
        file = Path(str(database.engine.url.database))
        files = [file.with_name(file.name + ending) for ending in ("", "-wal")]
        return b"".join(each.read_bytes() for each in files if each.exists())
    with database.writing() as connection:
        connection.execute(text("CHECKPOINT"))
        query = "SELECT pg_read_binary_file(pg_relation_filepath('projects'))"
        return bytes(connection.execute(text(query)).scalar_one())


def test_tokens_are_deleted_with_their_bytes_and_nothing_else_is(stored: Database) -> None:
    assert FIRST.encode() in bytes_of(stored)
    assert forget_tokens(stored) == 2
    assert tokens(stored) == [None, None]
    assert b"swordfish" not in bytes_of(stored)
    project = ProjectStorage(stored).project(UID)
    assert project is not None
    assert (project.hostname, project.label_config) == ("http://studio", CONFIG)
    assert forget_tokens(stored) == 0


def test_a_token_that_was_renewed_is_overwritten_by_the_next_setup(database: Database) -> None:
    storage = ProjectStorage(database)
    for token in (FIRST, SECOND):
        storage.save_connection(
            UID, hostname="http://studio", access_token=token, label_config=CONFIG
        )
    database.shrink_table("projects")
    found = bytes_of(database)
    assert SECOND.encode() in found
    assert FIRST.encode() not in found


def test_tokens_leave_the_database_while_others_read_it(
    postgres_database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a reader who takes long; a later vacuum removes the bytes."""
    monkeypatch.setattr("backend.database.connection.SHRINK_WAIT_MILLISECONDS", 50)
    ProjectStorage(postgres_database).save_connection(
        UID, hostname="http://studio", access_token=FIRST, label_config=CONFIG
    )
    with postgres_database.reading() as reader:
        reader.execute(text("SELECT * FROM projects"))
        assert forget_tokens(postgres_database) == 1
    assert tokens(postgres_database) == [None]
    assert "until the next vacuum" in caplog.text
    with postgres_database.reading() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "0"


@pytest.mark.parametrize(
    ("values", "are_used"),
    [
        (KEY, False),
        (STUDIO, True),
        (PASSWORD, True),
        ({**KEY, **PASSWORD}, False),
        ({}, False),
        ({"label_studio_api_key": "key", **PASSWORD}, True),
    ],
    ids=["address and key", "address", "password", "all", "nothing", "a key without an address"],
)
def test_a_web_process_that_starts_deletes_the_tokens_that_it_would_not_use(
    stored: Database, tmp_path: Path, values: dict[str, Any], are_used: bool
) -> None:
    settings = settings_of(stored, tmp_path, **values)
    assert settings.uses_tokens_of_setup is are_used
    prepare_contract(settings)
    assert tokens(stored) == ([FIRST, SECOND] if are_used else [None, None])


@pytest.mark.parametrize("values", [KEY, STUDIO, {}], ids=["not used", "used", "nothing said"])
def test_a_backup_holds_only_tokens_that_are_used(
    stored: Database, tmp_path: Path, values: dict[str, Any]
) -> None:
    file = tmp_path / "backup.tar.gz"
    settings = settings_of(stored, tmp_path, **values)
    assert back_up(settings, file) == 0
    with tarfile.open(file) as archive:
        member = archive.extractfile("database.sqlite3")
        assert member is not None
        assert (b"swordfish" in member.read()) is not settings.has_label_studio_token
    assert tokens(stored) == [FIRST, SECOND]


@pytest.mark.parametrize(("yes", "key"), [(True, "key"), (False, "key"), (True, "")])
def test_a_purge_leaves_no_token_that_is_not_used(
    stored: Database, monkeypatch: pytest.MonkeyPatch, yes: bool, key: str
) -> None:
    url = stored.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://studio")
    if key:
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", key)
    assert main(["purge", "--older-than", "30", *(["--yes"] if yes else [])]) == 0
    assert tokens(stored) == ([None, None] if yes and key else [FIRST, SECOND])


def test_a_command_with_other_settings_than_the_backend_deletes_no_token(
    stored: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stored.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    assert main(["models"]) == 0
    assert main(["purge", "--older-than", "30", "--yes"]) == 0
    assert tokens(stored) == [FIRST, SECOND]
