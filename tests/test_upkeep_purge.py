import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from learning_data import lesson, teach
from sqlalchemy import select
from test_training_registry import OUTCOME, new_model
from upkeep_data import ANNA, BERT, LIMIT, contents, figures, fill, learn, long_after, record
from verdict_data import UID, added, annotation, event

from backend.__main__ import main
from backend.agreement.report_cache import ReportCache
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage, project_id_of
from backend.labelstudio.webhook_storage import WebhookStorage
from backend.settings import Settings
from backend.training.records import TrainingOptions
from backend.training.storage import ModelStorage, TrainingStorage
from backend.upkeep.purge_storage import ModelInUse, PurgeStorage
from backend.upkeep.queries import every_table
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters, State
from backend.verdicts.storage import VerdictStorage
from backend.verdicts.tables import purges

OTHER = "4.1795347724"
FAR = timedelta(days=3650)


@pytest.fixture
def storage(any_database: Database) -> PurgeStorage:
    fill(any_database)
    return PurgeStorage(any_database, limit=LIMIT, dry_run=False)


def sizes(database: Database) -> dict[str, int]:
    return {name: len(rows) for name, rows in contents(database).items()}


def test_a_dry_run_counts_what_is_then_deleted_and_deletes_nothing(
    any_database: Database, storage: PurgeStorage
) -> None:
    before = contents(any_database)
    dry = PurgeStorage(any_database, limit=LIMIT, dry_run=True)
    cutoff = now() + long_after()
    found = (dry.purge_project(UID), dry.purge_annotator(ANNA), dry.purge_older(cutoff))
    assert contents(any_database) == before
    assert found[1] == storage.purge_annotator(ANNA)
    with any_database.reading() as connection:
        note = connection.execute(select(purges)).mappings().one()
    assert (note["kind"], note["counts"]) == ("annotator", found[1])


def test_figures_after_a_purge_are_those_of_a_log_that_never_had_the_person(
    any_database: Database, storage: PurgeStorage, migrated_sqlite: Path, tmp_path: Path
) -> None:
    storage.purge_annotator(ANNA)
    shutil.copy(migrated_sqlite, tmp_path / "oracle.sqlite3")
    oracle = Database(f"sqlite:///{tmp_path / 'oracle.sqlite3'}")
    fill(oracle, people=(BERT,))
    assert without_numbers(figures(any_database)) == without_numbers(figures(oracle))
    oracle.close()


def without_numbers(found: dict[str, Any]) -> dict[str, Any]:
    """Figures without the numbers of rows."""
    return found | {"worst_tasks": [each | {"states": None} for each in found["worst_tasks"]]}


def test_nothing_of_a_person_is_left(any_database: Database, storage: PurgeStorage) -> None:
    assert str(ANNA) in json.dumps(contents(any_database), default=str)
    learnt = contents(any_database)["examples"]
    counts = storage.purge_annotator(ANNA)
    left = contents(any_database)
    assert str(ANNA) not in json.dumps(left, default=str)
    assert counts["annotation_states"] == counts["annotation_origins"] == 6
    assert len(left["examples"]) == len(learnt) - counts["examples"] > 0
    assert len(left["predictions"]) == 6
    assert {row["annotator"] for row in left["annotation_states"]} == {BERT}


def test_what_others_did_stays_without_the_number_of_who_changed_it_last(
    any_database: Database, storage: PurgeStorage
) -> None:
    """Bert has updated Anna's annotations."""
    counts = storage.purge_annotator(BERT)
    left = contents(any_database)["annotation_states"]
    assert {(row["annotator"], row["updated_by"]) for row in left} == {(ANNA, None)}
    assert counts["annotation_states, number removed"] == 6


def test_others_in_the_same_event_stay(any_database: Database) -> None:
    both = [
        annotation(task, [added(5, 5)], number=task, annotator=person)
        for task, person in ((1, ANNA), (2, BERT))
    ]
    with any_database.writing() as connection:
        from backend.verdicts.tables import events

        connection.execute(
            events.insert().values(
                received_at=now(),
                action="ANNOTATIONS_CREATED",
                project_id=3,
                body={"action": "ANNOTATIONS_CREATED", "annotations": both},
            )
        )
    counts = PurgeStorage(any_database, limit=LIMIT, dry_run=False).purge_annotator(ANNA)
    [row] = contents(any_database)["events"]
    assert [each["completed_by"] for each in row["body"]["annotations"]] == [BERT]
    assert counts["events, part removed"] == 1


def test_steps_hold_no_example_of_what_was_deleted(
    any_database: Database, storage: PurgeStorage
) -> None:
    [before] = contents(any_database)["learnt_steps"]
    storage.purge_annotator(ANNA)
    left = contents(any_database)
    [step] = left["learnt_steps"]
    ids = {row["id"] for row in left["examples"]}
    members = {number for number, _ in step["members"]}
    assert members <= ids
    assert not {number for number, _ in before["members"]} <= ids
    assert step["name"] != before["name"]


def test_a_project_is_deleted_with_everything_that_refers_to_it(
    any_database: Database, storage: PurgeStorage
) -> None:
    ProjectStorage(any_database).save_label_config(OTHER, "<View/>")
    teach(any_database, 1, lesson(1), uid=OTHER)
    trainings = TrainingStorage(any_database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    assert storage.weights_of(UID) == ["1.safetensors"]
    for uid in (UID, OTHER):
        number = project_id_of(uid)
        assert number is not None
        WebhookStorage(any_database).save_digest(number, 64 * "0")
    storage.purge_project(UID)
    left = {name: count for name, count in sizes(any_database).items() if count}
    assert left == {
        "deployments": 1,
        "projects": 1,
        "examples": 1,
        "purges": 1,
        "webhook_secrets": 1,
    }
    assert UID not in json.dumps(contents(any_database), default=str)


def test_every_table_with_data_of_a_project_is_reached(database: Database) -> None:
    """A new table has to have the uid of its project, or to refer to one that does."""
    reached = {"projects", "events", "webhook_secrets"}  # by the number of the project
    for table in every_table():
        parents = {key.column.table.name for key in table.foreign_keys}
        if "project_uid" in table.c or parents & reached:
            reached.add(table.name)
    without = {"outages", "deployments", "durations", "purges"}
    assert {table.name for table in every_table()} - reached <= without


def test_a_model_that_others_use_keeps_its_project(
    any_database: Database, storage: PurgeStorage
) -> None:
    trainings = TrainingStorage(any_database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=False)
    ModelStorage(any_database).activate(1, "command", None)
    with pytest.raises(ModelInUse, match="models use"):
        storage.purge_project(UID)


def test_what_is_old_is_deleted_and_predictions_stay(
    any_database: Database, storage: PurgeStorage
) -> None:
    counts = storage.purge_older(now() + long_after())
    left = sizes(any_database)
    gone = ("annotation_states", "verdicts", "events", "examples", "interactive_answers")
    assert [left[name] for name in gone] == [0] * len(gone)
    assert left["predictions"] == left["deliveries"] == 6
    assert left["sync_runs"] == 1  # the latest tells when the next pull is due
    assert counts["annotation_states"] == 12


def test_what_is_newer_stays(any_database: Database, storage: PurgeStorage) -> None:
    before = contents(any_database)
    assert storage.purge_older(now() - FAR) == {}
    assert contents(any_database) == before | {"purges": contents(any_database)["purges"]}


def test_a_pull_does_not_bring_back_what_is_too_old(
    any_database: Database, storage: PurgeStorage
) -> None:
    raw = annotation(1, [added(5, 5)], number=10, annotator=ANNA)
    recorder = Recorder(Settings(), any_database)
    state = recorder.state_of(UID, raw, "sync")
    assert isinstance(state, State)
    storage.purge_older(now() + long_after())
    entry = Entry(states=[state])
    assert VerdictStorage(any_database).record([entry], now()) == (0, 0)
    later = recorder.state_of(
        UID, raw | {"updated_at": (now() + 2 * long_after()).isoformat()}, "sync"
    )
    assert isinstance(later, State)
    assert VerdictStorage(any_database).record([Entry(states=[later])], now()) == (1, 0)


def test_the_report_forgets_at_once(any_database: Database, storage: PurgeStorage) -> None:
    """A row may come for each that goes, so the cache also asks how many purges there were."""
    cache = ReportCache(Settings(), any_database)
    assert ReportCache.figures(cache, Filters()).as_json()["groups"]["shown"] == 12
    storage.purge_annotator(ANNA)
    assert cache.figures(Filters()).as_json()["groups"]["shown"] == 6


def test_the_log_goes_on_after_a_purge(any_database: Database, storage: PurgeStorage) -> None:
    storage.purge_annotator(ANNA)
    event(any_database, annotation(1, [added(5, 5)], number=900, annotator=BERT))
    record(any_database)
    learn(any_database)
    found = Counter(row["annotator"] for row in contents(any_database)["annotation_states"])
    assert found == {BERT: 7}


@pytest.fixture
def environment(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    fill(database)
    yield database


def run(*arguments: str) -> int:
    return main(["purge", *arguments])


def test_the_bytes_are_gone_from_the_files(
    environment: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def bytes_of_files() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.glob("backend.sqlite3*"))

    assert str(ANNA).encode() in bytes_of_files()
    assert run("--annotator", str(ANNA)) == 0
    assert "Nothing is deleted yet: repeat it with --yes." in capsys.readouterr().out
    assert str(ANNA).encode() in bytes_of_files()
    assert run("--annotator", str(ANNA), "--yes") == 0
    assert "6 annotation_states" in capsys.readouterr().out
    assert str(ANNA).encode() not in bytes_of_files()
    assert b"features of" in bytes_of_files()  # of what Bert taught
    assert run("--project", "3", "--yes") == 0
    assert b"features of" not in bytes_of_files()
    assert environment.damage(seconds=60) is None


def test_a_projects_trained_weights_are_deleted(environment: Database, tmp_path: Path) -> None:
    trainings = TrainingStorage(environment)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    models = tmp_path / "models"
    models.mkdir()
    for name in ("1.safetensors", "1.json", "2.safetensors"):
        (models / name).touch()
    assert run("--project", "3") == 0
    assert len(list(models.iterdir())) == 3
    assert run("--project", "3", "--yes") == 0
    assert [path.name for path in models.iterdir()] == ["2.safetensors"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--project", "3", "--annotator", "1"], ["--older-than", "0"], ["--project", "99"]],
)
def test_unclear_requests_delete_nothing(environment: Database, arguments: list[str]) -> None:
    before: Any = contents(environment)
    assert run(*arguments, "--yes") != 0
    assert contents(environment) == before


def test_old_is_what_is_older_than_so_many_days(environment: Database) -> None:
    assert run("--older-than", "1", "--yes") == 0
    assert len(contents(environment)["annotation_states"]) == 12
