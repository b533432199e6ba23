"""`python -m backend train`: ask for a training, and watch it until it has ended.

This command only watches: the trainer goes on without it, and it may be run again at any time.
"""

import argparse
import sys
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from tqdm import tqdm

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.projects import label_studio_of, required_uid_of
from backend.local.embedded_redis import redis_url
from backend.settings import Settings
from backend.training.queue import NAME, make_training_queue
from backend.training.records import Training, Wishes
from backend.training.requests import TrainingRequests
from backend.training.storage import TrainingStorage

POLL_SECONDS = 0.5


class CannotTrain(RuntimeError):
    """Something that is needed is missing; says what to do."""


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask for a training of a project, watch it, and sum it up.

    Returns:
        0 where it brought a model, else 1.

    Raises:
        CannotTrain, LabelStudioNotSet, DatabaseUnusable: Label Studio, the project or the database
            cannot be used.
    """
    label_studio = label_studio_of(settings)
    wishes = _wishes(arguments)
    prepare_database(settings)
    database = Database(settings.database)
    with Redis.from_url(redis_url(settings)) as connection:
        requests = TrainingRequests(settings, database, make_training_queue(connection))
        try:
            project = label_studio.project(arguments.project)
            training = requests.ask(required_uid_of(project), project["label_config"], wishes)
            if training.wishes != wishes:
                print(
                    "A training of this project is going on already, with other options; this "
                    "command watches that one: run it again afterwards.",
                    file=sys.stderr,
                )
            if not _has_trainer(connection):
                print(
                    "No trainer is alive, so it waits for one: start `python -m backend serve`, or "
                    "`... trainer`.",
                    file=sys.stderr,
                )
            ended = _watch(TrainingStorage(database), training)
        except LabelStudioError as error:
            raise CannotTrain(str(error)) from error
        finally:
            database.close()
    return _sum_up(ended)


def _wishes(arguments: argparse.Namespace) -> Wishes:
    """What was asked for; a file is named so that the trainer finds it from its own folder."""
    if arguments.epochs is not None and arguments.epochs < 1:
        raise CannotTrain(f"expected at least 1 as --epochs, got {arguments.epochs}")
    if arguments.seed < 0:
        raise CannotTrain(f"expected a seed that is not negative, got {arguments.seed}")
    init = arguments.init
    return Wishes(
        control=arguments.control,
        arch=arguments.arch,
        init=str(Path(init).absolute()) if init and Path(init).is_file() else init,
        epochs=arguments.epochs,
        seed=arguments.seed,
        flip=arguments.flip,
    )


def _has_trainer(connection: Redis) -> bool:
    try:
        return any(NAME in worker.queue_names() for worker in Worker.all(connection))
    except RedisError:
        return False


def _watch(trainings: TrainingStorage, training: Training) -> Training:
    """Show how it gets on until it has ended."""
    with tqdm(desc="waiting for a trainer", bar_format="{desc}: {n_fmt}/{total_fmt}") as bar:
        while training.status == "queued":
            progress = training.progress
            if progress:
                bar.set_description_str(_phase(progress), refresh=False)
                bar.total, bar.n = progress.get("total"), progress.get("done", 0)
            bar.refresh()
            time.sleep(POLL_SECONDS)
            found = trainings.training(training.id)
            assert found is not None, "rows are never deleted"
            training = found
    return training


def _phase(progress: dict[str, object]) -> str:
    accuracy = progress.get("validation_accuracy")
    known = f", {accuracy:.1%} of the validation images right" if accuracy is not None else ""
    return f"{progress['phase']}{known}"


def _sum_up(training: Training) -> int:
    outcome = training.outcome
    if outcome is None:
        print(f"Training {training.id} failed: {training.reason}", file=sys.stderr)
        return 1
    for name, reason in outcome.left_out:
        print(f"left out {name}: {reason}", file=sys.stderr)
    for warning in outcome.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    counts = ", ".join(f"{count} {name}" for name, count in outcome.images.items())
    print(f"trained on {counts}, the choices of {outcome.control!r}")
    print(outcome.decision)
    return 0
