"""`python -m backend doctor`: check a deployment, and say what to set.

It changes nothing, neither here nor in Label Studio. Run it where the web process runs.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import requests
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.commands.doctor_label_studio import check_label_studio
from backend.commands.doctor_projects import check_projects
from backend.commands.doctor_results import CheckResult, note, ok, problem
from backend.commands.doctor_waiting import check_waiting
from backend.commands.doctor_webhooks import check_events
from backend.commands.serve import address_of
from backend.database.connection import Database, StorageError
from backend.labelstudio.errors import innermost
from backend.local.embedded_redis import redis_url
from backend.settings import Settings, load_settings
from backend.suggestions.queue import NAME
from backend.training.queue import TRAINING_QUEUE
from backend.training.registry import active_model
from model.weights_files import is_file_name

TIMEOUT_SECONDS = 5.0

Check = Callable[[Settings], Iterator[CheckResult]]


@click.command()
def doctor() -> int:
    """Check a deployment and say what to set."""
    return check_all(load_settings())


def check_all(settings: Settings) -> int:
    """Run every check and print the results.

    Returns:
        0 if there is no problem, else 1.
    """
    problems = 0
    for check in CHECKS:
        for result in check(settings):
            print(result, flush=True)
            problems += result.is_problem
    count = "1 problem" if problems == 1 else f"{problems or 'No'} problems"
    print(f"{count} found.")
    return 1 if problems else 0


def check_data_folder(settings: Settings) -> Iterator[CheckResult]:
    """Check that files can be created in the data folder."""
    folder = settings.data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            yield ok("Data folder", f"{folder} is writable")
    except OSError as error:
        yield problem(
            "Data folder",
            f"{folder} is not writable ({error.strerror}): set DATA_DIR to a folder that is",
        )


def check_model(settings: Settings) -> Iterator[CheckResult]:
    """Check that the weights can be read, unless a worker will download them."""
    try:
        model = active_model(settings)
    except OSError as error:
        weights = settings.model()[1]
        yield problem("Model", f"{weights} cannot be read ({error.strerror}): set MODEL_WEIGHTS")
        return
    if model.trained is not None and not Path(model.weights).is_file():
        yield problem(
            "Model",
            f"{model.version} is a trained model, but {model.weights} does not exist: set "
            "MODELS_DIR to the folder of its training, or activate the previous model with "
            "`python -m backend models back`",
        )
    elif is_file_name(model.weights):
        origin = f", trained for project {model.trained.project_uid}" if model.trained else ""
        yield ok("Model", f"{model.version}, weights in {model.weights}{origin}")
    else:
        yield note(
            "Model",
            f"{model.version}; a worker downloads {model.weights} of {model.arch} at its first "
            "start (without access to the internet, set MODEL_WEIGHTS to a file)",
        )


def check_database(settings: Settings) -> Iterator[CheckResult]:
    """Check that the database answers and has the tables of this version."""
    url = make_url(settings.database)
    name = "DATABASE_URL" if settings.database_url else f"{url.database}"
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        yield note("Database", f"{name} is created at the first start")
        return
    try:
        database = Database(settings.database)
        found, newest = database.versions()
        database.close()
    except (SQLAlchemyError, StorageError, OSError) as error:
        reason = str(error).partition("\n")[0]
        yield problem(
            "Database", f"{name} does not answer ({reason}): start it, or set DATABASE_URL"
        )
        return
    if found == newest:
        yield ok("Database", f"{name} answers, and its tables are up to date")
    else:
        yield problem(
            "Database",
            f"{name} has tables of version {', '.join(sorted(found)) or 'none'}, this program has "
            f"{', '.join(sorted(newest))}: start `python -m backend serve`, which updates them",
        )


def check_redis(settings: Settings) -> Iterator[CheckResult]:
    """Check that Redis answers, and that workers take jobs from it."""
    name = "REDIS_URL" if settings.redis_url else "the Redis of `python -m backend serve`"
    try:
        with Redis.from_url(redis_url(settings), socket_timeout=TIMEOUT_SECONDS) as connection:
            connection.ping()
            workers = Worker.all(connection)
    except (RedisError, OSError) as error:
        yield problem(
            "Redis", f"{name} does not answer ({innermost(error)}): start it, or set REDIS_URL"
        )
        return
    yield ok("Redis", f"{name} answers")
    detecting = [worker.name for worker in workers if NAME in worker.queue_names()]
    if detecting:
        yield ok("Worker", f"{len(detecting)} running: {', '.join(detecting)}")
    else:
        yield problem(
            "Worker",
            "none is running: start `python -m backend serve` or `python -m backend worker`",
        )
    if not any(TRAINING_QUEUE in worker.queue_names() for worker in workers):
        yield note(
            "Trainer", "none is running, so trainings wait: start `python -m backend trainer`"
        )


def check_web(settings: Settings) -> Iterator[CheckResult]:
    """Check that the web process answers, and has the same model as these settings."""
    address = address_of(settings)
    try:
        answer = requests.get(f"{address}/health", timeout=TIMEOUT_SECONDS)
        found = answer.json().get("model_version")
    except (requests.RequestException, AttributeError) as error:
        yield problem(
            "Web process",
            f"no answer from {address}/health ({innermost(error)}): start "
            "`python -m backend serve`, or set HOST and PORT to its address",
        )
        return
    expected = active_model(settings).version
    if found == expected:
        yield ok("Web process", f"answers at {address}")
    else:
        yield problem(
            "Web process",
            f"{address} has the model {found}, but these settings give {expected}: use the same "
            "settings for both, and restart it",
        )


CHECKS: tuple[Check, ...] = (
    check_data_folder,
    check_model,
    check_database,
    check_redis,
    check_web,
    check_projects,
    check_label_studio,
    check_events,
    check_waiting,
)
