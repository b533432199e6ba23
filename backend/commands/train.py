"""`python -m backend train`: request a training, and watch it until it has ended.

The command only watches: a trainer goes on without it, and the command may be run again
at any time.
"""

import sys
import time
from pathlib import Path

import click
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from tqdm import tqdm

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.projects import label_studio_of
from backend.local.embedded_redis import redis_url
from backend.settings import Settings, load_settings
from backend.training.queue import TRAINING_QUEUE, make_training_queue
from backend.training.records import Progress, Training, TrainingOptions
from backend.training.requests import TrainingRequests
from backend.training.storage import TrainingStorage
from model.learning.class_sizes import listed

POLL_SECONDS = 0.5


@click.command()
@click.option(
    "--project", type=int, required=True, metavar="ID", help="Its number in Label Studio."
)
@click.option(
    "--control",
    metavar="NAME",
    help="The Choices whose choices are the classes. Default: the first with enough annotations.",
)
@click.option("--arch", help="Network to train. Default: that of the active model.")
@click.option(
    "--init",
    metavar="WEIGHTS",
    help="Start from IMAGENET1K_V1, a weights file, or nothing. Default: the active model.",
)
@click.option(
    "--epochs", type=click.IntRange(min=1), help="Largest number of passes over the images."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of every random choice.",
)
@click.option(
    "--flip/--no-flip",
    default=None,
    help="Whether mirrored images keep their class. Default: yes, unless a class is called left "
    "or right.",
)
def train(
    project: int,
    control: str | None,
    arch: str | None,
    init: str | None,
    epochs: int | None,
    seed: int,
    flip: bool | None,
) -> int:
    """Train on a project's class labels, and wait for the result.

    The labels are those of submitted annotations.
    """
    options = TrainingOptions(
        control=control, arch=arch, init=_absolute(init), epochs=epochs, seed=seed, flip=flip
    )
    with refusing(LabelStudioError):
        return train_project(load_settings(), project, options)


def train_project(settings: Settings, project_id: int, options: TrainingOptions) -> int:
    """Request a training of a project, watch it, and print the result.

    Returns:
        0 if it made a model, else 1.

    Raises:
        LabelStudioNotSet, LabelStudioError, DatabaseUnusable: Label Studio, the project or the
            database cannot be used.
    """
    label_studio = label_studio_of(settings)
    with open_database(settings) as database, Redis.from_url(redis_url(settings)) as connection:
        requests = TrainingRequests(settings, database, make_training_queue(connection))
        project = label_studio.project(project_id)
        training = requests.request(project.uid, project.label_config, options)
        if training.options != options:
            print(
                "This project has an unfinished training with other options, which this command "
                "now watches. Run the command again when it has ended.",
                file=sys.stderr,
            )
        if not _has_trainer(connection):
            print(
                "No trainer is running, so the training waits: start "
                "`python -m backend serve` or `python -m backend trainer`.",
                file=sys.stderr,
            )
        return _print_result(_watch(TrainingStorage(database), training))


def _absolute(init: str | None) -> str | None:
    """Return the absolute path of a weights file, which a trainer in another folder can find."""
    return str(Path(init).absolute()) if init and Path(init).is_file() else init


def _has_trainer(connection: Redis) -> bool:
    try:
        return any(TRAINING_QUEUE in worker.queue_names() for worker in Worker.all(connection))
    except RedisError:
        return False


def _watch(trainings: TrainingStorage, training: Training) -> Training:
    """Show the progress of a training, and return it when it has ended."""
    with tqdm(desc="waiting for a trainer", bar_format="{desc}: {n_fmt}/{total_fmt}") as bar:
        while training.status == "queued":
            progress = training.progress
            if progress is not None:
                bar.set_description_str(_phase(progress), refresh=False)
                bar.total, bar.n = progress.total, progress.done or 0
            bar.refresh()
            time.sleep(POLL_SECONDS)
            found = trainings.training(training.id)
            assert found is not None, "rows are never deleted"
            training = found
    return training


def _phase(progress: Progress) -> str:
    accuracy = progress.validation_accuracy
    known = f", {accuracy:.1%} of the validation images right" if accuracy is not None else ""
    return f"{progress.phase}{known}"


def _print_result(training: Training) -> int:
    outcome = training.outcome
    if outcome is None:
        print(f"Training {training.id} failed: {training.reason}", file=sys.stderr)
        return 1
    for image, reason in outcome.left_out:
        print(f"left out {image}: {reason}", file=sys.stderr)
    for warning in outcome.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    counts = listed(f"{count} {name}" for name, count in outcome.images.items())
    print(f"trained on {counts}, the choices of {outcome.control!r}")
    print(outcome.decision)
    return 0
