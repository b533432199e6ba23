"""The queue of trainings, with a real Redis, and what happens when a job there is lost or fails."""

from pathlib import Path

import pytest
from label_studio_fake import CONFIG, UID
from redis import Redis
from rq import Queue

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.training.queue import (
    JOB,
    enqueue_training,
    enqueue_trainings_again,
    make_training_queue,
    training_job_id,
)
from backend.training.records import Training, TrainingOptions
from backend.training.storage import TrainingStorage


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def trainings(database: Database) -> TrainingStorage:
    return TrainingStorage(database)


@pytest.fixture
def training(database: Database, trainings: TrainingStorage) -> Training:
    ProjectStorage(database).save_label_config(UID, CONFIG)
    training, _ = trainings.request(UID, TrainingOptions())
    return training


@pytest.fixture
def training_queue(redis_connection: Redis) -> Queue:
    return make_training_queue(redis_connection)


def test_a_training_that_is_queued_is_not_queued_twice(
    settings: Settings, database: Database, training: Training, training_queue: Queue
) -> None:
    for _ in range(2):
        enqueue_training(training_queue, settings, training)
    assert enqueue_trainings_again(training_queue, settings, database) == 0
    assert training_queue.count == 1


def test_a_training_whose_job_is_over_but_that_has_not_ended_is_queued_again(
    settings: Settings,
    database: Database,
    trainings: TrainingStorage,
    training: Training,
    training_queue: Queue,
) -> None:
    enqueue_training(training_queue, settings, training)
    job = training_queue.fetch_job(training_job_id(training))
    assert job is not None
    job.set_status("failed")
    training_queue.remove(job)
    assert enqueue_trainings_again(training_queue, settings, database) == 1
    assert training_queue.get_job_ids() == [f"train-{training.id}-2"]
    trainings.fail(training.id, "no labels")
    training_queue.empty()
    assert enqueue_trainings_again(training_queue, settings, database) == 0


def test_a_job_by_a_path_of_an_earlier_version_is_queued_again_by_its_new_one(
    settings: Settings,
    database: Database,
    trainings: TrainingStorage,
    training: Training,
    training_queue: Queue,
) -> None:
    """An update must not lose trainings that wait in Redis."""
    training_queue.enqueue(
        "backend.training_jobs.train", training.id, job_id=training_job_id(training)
    )
    assert enqueue_trainings_again(training_queue, settings, database) == 1
    found = trainings.training(training.id)
    assert found is not None
    assert (found.status, found.attempts) == ("queued", 0)
    [job] = training_queue.jobs
    assert (job.id, job.func_name) == (f"train-{training.id}-1", JOB)
    assert list(job.args) == [training.id]
    assert enqueue_trainings_again(training_queue, settings, database) == 0
