import io
import json
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from label_studio_fake import TOKEN, LabelStudioFake, label_studio_fake
from migrating import downgrade
from pydantic import SecretStr
from redis import Redis
from rq import Queue
from sqlalchemy import inspect, select, text
from test_training_registry import OUTCOME, new_model
from upkeep_data import contents, figures, fill
from verdict_data import UID, detection, event, predict

from backend.commands.backup import back_up
from backend.commands.command_line import Refusal
from backend.commands.restore import restore_from
from backend.database.connection import Database, now
from backend.labelstudio.projects import LabelStudios
from backend.settings import Settings
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.queue import enqueue_again
from backend.suggestions.records import Wanted
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions
from backend.training.records import TrainingOptions
from backend.training.registry import ModelRegistry
from backend.training.storage import TrainingStorage
from backend.upkeep.backup import BackupUnreadable
from backend.upkeep.backup_storage import IDS, DatabaseNotEmpty
from backend.upkeep.queries import every_table
from backend.workers.cards import announced


def settings_of(database: Database, folder: Path, **values: Any) -> Settings:
    url = database.engine.url.render_as_string(hide_password=False)
    return Settings(database_url=url, data_dir=folder, redis_url="redis://127.0.0.1:1/0", **values)


@pytest.fixture
def sqlite_again(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(migrated_sqlite, tmp_path / "again.sqlite3")
    database = Database(f"sqlite:///{tmp_path / 'again.sqlite3'}")
    yield database
    database.close()


@pytest.fixture(params=["to sqlite", "to postgresql"])
def another(request: pytest.FixtureRequest, sqlite_again: Database) -> Iterator[Database]:
    """A second, empty database, of each kind in turn."""
    if request.param == "to sqlite":
        yield sqlite_again
        return
    database = Database(request.getfixturevalue("postgres_url"))
    database.migrate()
    yield database
    database.close()


# What restoring changes on purpose.
CHANGED = ("busy_until", "waiting_until", "check_at", "checks", "round")


def comparable(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Every row without what restoring changes."""
    return {
        name: [{key: row[key] for key in row if key not in CHANGED} for row in found]
        for name, found in rows.items()
        if name != "deployments"
    }


def test_everything_comes_back_from_either_kind_of_database_in_either_kind(
    any_database: Database, another: Database, tmp_path: Path
) -> None:
    fill(any_database)
    before, reported = comparable(contents(any_database)), figures(any_database)
    assert sum(map(bool, before.values())) >= 14
    file = tmp_path / "backup.tar.gz"
    assert back_up(settings_of(any_database, tmp_path), file) == 0
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert restore_from(settings_of(another, tmp_path), file, overwrite=False) == 0
    assert comparable(contents(another)) == before
    assert figures(another) == reported
    assert contents(another)["deployments"] != contents(any_database)["deployments"]


def test_no_table_is_left_out(database: Database) -> None:
    with database.reading() as connection:
        names = set(inspect(connection).get_table_names())
    assert {table.name for table in every_table()} == names - {"alembic_version"}


def test_a_database_with_data_is_overwritten_only_on_request(
    any_database: Database, tmp_path: Path
) -> None:
    fill(any_database, tasks=2)
    settings, file = settings_of(any_database, tmp_path), tmp_path / "backup.tar.gz"
    back_up(settings, file)
    predict(any_database, 99, detection((1, 1)))
    before = contents(any_database)
    with pytest.raises(DatabaseNotEmpty, match="add --overwrite"):
        restore_from(settings, file, overwrite=False)
    assert contents(any_database) == before
    restore_from(settings, file, overwrite=True)
    tasks = {row["task_id"] for row in contents(any_database)["predictions"]}
    assert tasks == {1, 2}


def test_a_backup_is_of_one_moment_while_others_write(
    any_database: Database, another: Database, tmp_path: Path
) -> None:
    """Each event is written in one transaction with a mark of its own in another table."""
    fill(any_database, tasks=2)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with any_database.writing() as connection:
                for service in (f"first {number}", f"second {number}"):
                    connection.execute(
                        text(
                            "INSERT INTO outages (service, since, failures, is_away, probe_at, "
                            "reason) VALUES (:service, :now, 1, :no, :now, '')"
                        ),
                        {"service": service, "now": "2026-01-01 00:00:00", "no": False},
                    )
            event(any_database, {"id": number}, "ANY")

    writers = [threading.Thread(target=write)]
    for each in writers:
        each.start()
    try:
        file = tmp_path / "backup.tar.gz"
        back_up(settings_of(any_database, tmp_path), file)
    finally:
        stop.set()
        for each in writers:
            each.join()
    restore_from(settings_of(another, tmp_path), file, overwrite=False)
    found = contents(another)
    services = [row["service"] for row in found["outages"]]
    assert len([each for each in services if each.startswith("first")]) == len(
        [each for each in services if each.startswith("second")]
    )
    # The mark comes before its event.
    marks = len(services) // 2
    events = len([row for row in found["events"] if row["action"] == "ANY"])
    assert events in (marks, marks - 1)


def test_weights_of_trained_models_are_restored(
    database: Database, sqlite_again: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database, tasks=1)
    trainings = TrainingStorage(database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    settings, file = settings_of(database, tmp_path / "old"), tmp_path / "backup.tar.gz"
    assert back_up(settings, file) == 1
    assert "missing: 1.safetensors" in capsys.readouterr().out
    settings.models_folder.mkdir(parents=True)
    (settings.models_folder / "1.safetensors").write_bytes(b"weights")
    (settings.models_folder / "1.json").write_text("{}")
    assert back_up(settings, file) == 0
    again = settings_of(sqlite_again, tmp_path / "new")
    restore_from(again, file, overwrite=False)
    assert (again.models_folder / "1.safetensors").read_bytes() == b"weights"
    assert (again.models_folder / "1.json").read_text() == "{}"
    assert ModelRegistry(again, sqlite_again).active(UID).trained is not None


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(
    database: Database, sqlite_again: Database, tmp_path: Path
) -> None:
    fill(database, tasks=2)
    file = tmp_path / "backup.tar.gz"
    back_up(settings_of(database, tmp_path), file)
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    copy = tmp_path / "unpacked" / "database.sqlite3"
    earlier = Database(f"sqlite:///{copy}")
    downgrade(earlier, "0012")
    earlier.shrink()
    earlier.close()
    pack(tmp_path / "unpacked", file)
    restore_from(settings_of(sqlite_again, tmp_path), file, overwrite=False)
    assert len(contents(sqlite_again)["annotation_states"]) == 4


def pack(folder: Path, file: Path) -> None:
    """Write an archive with right digests."""
    import hashlib

    summary = json.loads((folder / "manifest.json").read_text())
    content = (folder / "database.sqlite3").read_bytes()
    summary["digests"] = {"database.sqlite3": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(summary))
    with tarfile.open(file, "w:gz") as archive:
        for name in ("manifest.json", "database.sqlite3"):
            archive.add(folder / name, arcname=name)


@pytest.mark.parametrize("fault", ["cut", "other", "changed", "escaping"])
def test_a_file_that_is_no_backup_changes_nothing(
    fault: str, database: Database, sqlite_again: Database, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar.gz"
    back_up(settings_of(database, tmp_path), file)
    if fault == "cut":
        file.write_bytes(file.read_bytes()[:-2000])
    elif fault == "other":
        file.write_bytes(b"something else")
    else:
        with tarfile.open(file) as archive:
            archive.extractall(tmp_path / "unpacked", filter="data")
        with tarfile.open(file, "w:gz") as archive:
            archive.add(tmp_path / "unpacked" / "manifest.json", arcname="manifest.json")
            name = "database.sqlite3" if fault == "changed" else "../escaped"
            found = tarfile.TarInfo(name)
            found.size = 3
            archive.addfile(found, io.BytesIO(b"abc"))
    before = contents(sqlite_again)
    with pytest.raises(BackupUnreadable):
        restore_from(settings_of(sqlite_again, tmp_path), file, overwrite=False)
    assert contents(sqlite_again) == before
    assert not (tmp_path.parent / "escaped").exists()


def test_nothing_is_restored_below_workers(
    database: Database, tmp_path: Path, redis_connection: Redis, redis_url: str
) -> None:
    file = tmp_path / "backup.tar.gz"
    settings = settings_of(database, tmp_path).model_copy(update={"redis_url": redis_url})
    back_up(settings, file)
    with announced(redis_connection, database, ModelRegistry(settings, database), "CPU"):
        from conftest import wait_until

        wait_until(lambda: redis_connection.keys("prelabelling:worker:*"))
        with pytest.raises(Refusal, match="stop the backend"):
            restore_from(settings, file, overwrite=True)
    restore_from(settings, file, overwrite=True)


def test_a_backup_can_be_read_by_any_sqlite_browser(database: Database, tmp_path: Path) -> None:
    fill(database, tasks=1)
    file = tmp_path / "backup.tar.gz"
    back_up(settings_of(database, tmp_path), file)
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    copy = tmp_path / "unpacked" / "database.sqlite3"
    with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM annotation_states").fetchone() == (2,)


def test_a_restored_deployment_delivers_nothing_twice_and_finds_what_waits(
    any_database: Database, tmp_path: Path, queue: Queue, redis_connection: Redis
) -> None:
    """After the backup, one prediction was delivered, one made, and one task added."""
    from label_studio_fake import UID as STUDIO_UID

    with label_studio_fake() as studio:
        images = {task: studio.add_task(task, b"")["data"]["image"] for task in (1, 2)}
        for task, image in images.items():
            predict(
                any_database, task, detection((10, 10)), uid=STUDIO_UID, image=image, deliver=False
            )
        with any_database.writing() as connection:
            due = {"to_deliver": True, "check_at": now()}
            connection.execute(predictions.update().values(**due))
        waiting = Wanted(3, "/data/3.png", "3" * 64, {})
        PredictionStorage(any_database).request(
            STUDIO_UID, "small-abc", [waiting], retry_failed_before=now()
        )
        settings = settings_of(
            any_database,
            tmp_path,
            label_studio_url=studio.url,
            label_studio_api_key=SecretStr(TOKEN),
        )
        enqueue_again(queue, settings, any_database)
        file = tmp_path / "backup.tar.gz"
        back_up(settings, file)

        deliver_all(settings, any_database)
        assert delivered(studio) == {1: 1, 2: 1}
        # The job of the task that waits has ended since, which Redis still knows.
        [job_id] = queue.job_ids
        queue.fetch_job(job_id).set_status("failed")  # type: ignore[union-attr]
        redis_connection.delete(queue.key)

        restore_from(settings, file, overwrite=True)
        deliver_all(settings, any_database)
        assert delivered(studio) == {1: 1, 2: 1}
        assert enqueue_again(queue, settings, any_database) == 1
        assert len(queue.job_ids) == 1
        [new] = PredictionStorage(any_database).request(
            STUDIO_UID, "small-abc", [Wanted(4, "/4.png", "4" * 64, {})], retry_failed_before=now()
        )
        assert new.id > IDS


def deliver_all(settings: Settings, database: Database) -> None:
    while DeliveryService(settings, database, LabelStudios(settings)).deliver_due(10):
        pass


def delivered(studio: LabelStudioFake) -> dict[int, int]:
    return {task: len(studio.of_task(task)) for task in (1, 2)}


def test_the_numbers_of_all_tables_go_on_above_those_of_the_lost_time(
    any_database: Database, tmp_path: Path
) -> None:
    fill(any_database, tasks=1)
    settings, file = settings_of(any_database, tmp_path), tmp_path / "backup.tar.gz"
    back_up(settings, file)
    restore_from(settings, file, overwrite=True)
    number = event(any_database, {"id": 1}, "ANY")
    with any_database.reading() as connection:
        assert connection.scalar(select(predictions.c.id)) == 1
    assert number > IDS
