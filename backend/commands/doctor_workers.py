"""The doctor's check of the workers: that there are some, and that they fit this deployment."""

from collections import Counter
from collections.abc import Iterator, Sequence

from redis.exceptions import RedisError
from rq import Worker
from sqlalchemy.exc import SQLAlchemyError

from backend.commands.doctor_redis import connect
from backend.commands.doctor_results import CheckResult, note, ok, problem
from backend.settings import Settings
from backend.suggestions.queue import NAME
from backend.training.queue import TRAINING_QUEUE
from backend.training.registry import existing_database
from backend.upkeep.storage import DeploymentStorage
from backend.verdicts.program_version import program_version
from backend.workers.cards import WorkerCard, worker_cards


def check_workers(settings: Settings) -> Iterator[CheckResult]:
    """Check that workers take jobs, from the right database, with this code and all weights."""
    try:
        with connect(settings) as connection:
            workers = Worker.all(connection)
            cards = worker_cards(connection)
    except (RedisError, OSError):
        return  # the check of Redis has said so
    detecting = [worker.name for worker in workers if NAME in worker.queue_names()]
    if detecting:
        names = ", ".join(detecting)
        yield ok("Worker", f"{len(detecting)} running: {names}{_devices(cards)}")
    else:
        yield problem(
            "Worker",
            "none is running: start `python -m backend serve` or `python -m backend worker`",
        )
    if not any(TRAINING_QUEUE in worker.queue_names() for worker in workers):
        yield note(
            "Trainer", "none is running, so trainings wait: start `python -m backend trainer`"
        )
    yield from _check_cards(cards, _deployment(settings))


def _devices(cards: Sequence[WorkerCard]) -> str:
    """Return where workers detect, as in `; they detect on CPU (2), NVIDIA L4 (1)`."""
    count = Counter(card.device for card in cards if card.device)
    shown = ", ".join(f"{device} ({number})" for device, number in sorted(count.items()))
    return f"; they detect on {shown}" if shown else ""


def _deployment(settings: Settings) -> str | None:
    """Return the name of this database; None if it cannot be read."""
    try:
        with existing_database(settings) as database:
            return None if database is None else DeploymentStorage(database).name()
    except (SQLAlchemyError, OSError):
        return None


def _check_cards(cards: Sequence[WorkerCard], deployment: str | None) -> Iterator[CheckResult]:
    for card in cards:
        where = f"that on {card.host} (process {card.pid})"
        if deployment is not None and card.deployment != deployment:
            yield problem(
                "Worker",
                f"{where} takes jobs from this Redis but uses another database, so that each does "
                "the work of the other: give every deployment a Redis of its own, or another "
                "number at the end of REDIS_URL, and its workers the same DATABASE_URL",
            )
        elif card.program != program_version():
            yield problem(
                "Worker",
                f"{where} runs another version of the program: install the same one everywhere, "
                "and restart it",
            )
        elif card.missing:
            yield problem(
                "Worker",
                f"{where} lacks the weights of {', '.join(card.missing)}: set MODELS_DIR there to "
                "the folder that all workers and trainers share",
            )
