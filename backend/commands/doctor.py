"""`python -m backend doctor`: checks a deployment, a line each, and says what to set.

Nothing is changed by it, here or in Label Studio. It is to run where the web process runs.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.commands.doctor_label_studio import check_label_studio
from backend.commands.findings import Finding, note, ok, problem
from backend.commands.serve import address_of
from backend.database.connection import Database, StorageError
from backend.labelstudio.client import innermost
from backend.local.embedded_redis import redis_url
from backend.settings import Settings
from backend.suggestions.queue import NAME
from backend.training.queue import NAME as TRAINING
from backend.training.registry import model_that_answers
from model.settings import is_file_name

MIGRATIONS = Path(__file__).parent.parent / "database" / "migrations"
HEALTH_SECONDS = 5.0

Check = Callable[[Settings], Iterator[Finding]]


def run(settings: Settings) -> int:
    """Check everything and print what was found.

    Returns:
        0 where there is no problem, else 1.
    """
    problems = 0
    for check in CHECKS:
        for finding in check(settings):
            print(finding, flush=True)
            problems += finding.is_problem
    print("No problem was found." if not problems else f"{problems} to mend.")
    return 1 if problems else 0


def check_data_folder(settings: Settings) -> Iterator[Finding]:
    """Whether files can be made in it."""
    folder = settings.data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            yield ok("Data folder", f"{folder} can be written")
    except OSError as error:
        yield problem(
            "Data folder",
            f"{folder} cannot be written ({error.strerror}): set DATA_DIR to a folder that can",
        )


def check_model(settings: Settings) -> Iterator[Finding]:
    """Whether the weights can be read; what torchvision downloads is for the worker to see."""
    try:
        model = model_that_answers(settings)
    except OSError as error:
        weights = settings.model()[1]
        yield problem("Model", f"{weights} cannot be read ({error.strerror}): set MODEL_WEIGHTS")
        return
    if model.trained is not None and not Path(model.weights).is_file():
        yield problem(
            "Model",
            f"{model.version} was trained, but {model.weights} is not here: set MODELS_DIR to the "
            "folder that it was trained in, or take the model before it: "
            "python -m backend models back",
        )
    elif is_file_name(model.weights):
        origin = f", trained for project {model.trained.project_uid}" if model.trained else ""
        yield ok("Model", f"{model.version}, weights in {model.weights}{origin}")
    else:
        yield note(
            "Model",
            f"{model.version}; a worker downloads {model.weights} of {model.arch} unless it has "
            "them (without a network, set MODEL_WEIGHTS to a file)",
        )


def check_database(settings: Settings) -> Iterator[Finding]:
    """Whether it answers and has the tables of this version."""
    url = make_url(settings.database)
    name = "DATABASE_URL" if settings.database_url else f"{url.database}"
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        yield note("Database", f"{name} is made at the first start")
        return
    try:
        database = Database(settings.database)
        with database.reading() as connection:
            found = MigrationContext.configure(connection).get_current_heads()
        database.engine.dispose()
    except (SQLAlchemyError, StorageError, OSError) as error:
        reason = str(error).partition("\n")[0]
        yield problem(
            "Database", f"{name} does not answer ({reason}): set DATABASE_URL, or start it"
        )
        return
    newest = ScriptDirectory(str(MIGRATIONS)).get_heads()
    if set(found) == set(newest):
        yield ok("Database", f"{name} answers, and its tables are of this version")
    else:
        yield problem(
            "Database",
            f"{name} has tables of version {', '.join(found) or 'none'}, this program has "
            f"{', '.join(newest)}: start `python -m backend serve`, which brings them up to date",
        )


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Whether it answers, and whether a worker listens to it."""
    name = "REDIS_URL" if settings.redis_url else "the Redis of `python -m backend serve`"
    try:
        with Redis.from_url(redis_url(settings), socket_timeout=HEALTH_SECONDS) as connection:
            connection.ping()
            every = Worker.all(connection)
    except (RedisError, OSError) as error:
        yield problem(
            "Redis", f"{name} does not answer ({innermost(error)}): start it, or set REDIS_URL"
        )
        return
    yield ok("Redis", f"{name} answers")
    workers = [each.name for each in every if NAME in each.queue_names()]
    if workers:
        yield ok("Worker", f"{len(workers)} alive: {', '.join(workers)}")
    else:
        yield problem("Worker", "none is alive: start `python -m backend serve` or `... worker`")
    if not any(TRAINING in each.queue_names() for each in every):
        yield note("Trainer", "none is alive, so trainings wait: start `python -m backend trainer`")


def check_web(settings: Settings) -> Iterator[Finding]:
    """Whether the web process answers, with the model that these settings make."""
    address = address_of(settings)
    try:
        answer = requests.get(f"{address}/health", timeout=HEALTH_SECONDS)
        found = answer.json().get("model_version")
    except (requests.RequestException, AttributeError) as error:
        yield problem(
            "Web process",
            f"no answer from {address}/health ({innermost(error)}): start "
            "`python -m backend serve`, or set HOST and PORT to those that it has",
        )
        return
    expected = model_that_answers(settings).version
    if found == expected:
        yield ok("Web process", f"answers at {address}")
    else:
        yield problem(
            "Web process",
            f"{address} has the model {found}, these settings make {expected}: "
            "give both the same settings and start it again",
        )


CHECKS: tuple[Check, ...] = (
    check_data_folder,
    check_model,
    check_database,
    check_redis,
    check_web,
    check_label_studio,
)
