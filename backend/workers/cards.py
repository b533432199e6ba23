"""What each detection worker says about itself in Redis, for those who look for what is wrong.

A worker on another machine may run other code, lack weights, or work for another database, which
nobody can see from here.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

from redis import Redis
from redis.exceptions import RedisError

from backend.database.connection import Database
from backend.training.registry import ModelRegistry
from backend.upkeep.storage import DeploymentStorage
from backend.verdicts.program_version import program_version
from backend.workers.maintenance import repeated
from model.weights_files import is_file_name

PREFIX = "prelabelling:worker:"
EVERY_SECONDS = 30.0
LIFE_SECONDS = 120  # a card without a worker disappears


@dataclass(frozen=True, slots=True)
class WorkerCard:
    """A detection worker that lives.

    Attributes:
        host, pid: where it runs.
        program: see `program_version`.
        deployment: name of the database that it uses; see `DeploymentStorage`.
        missing: versions of trained models whose weights it does not find.
        device: where it detects; see `device_name`. Empty for a worker of an older version.
    """

    host: str
    pid: int
    program: str
    deployment: str
    missing: tuple[str, ...]
    device: str = ""


def own_card(database: Database, models: ModelRegistry, device: str) -> WorkerCard:
    """Return the card of this process, which detects on a device."""
    missing = (
        model.version
        for model in models.all()
        if is_file_name(model.weights) and not Path(model.weights).is_file()
    )
    return WorkerCard(
        host=socket.gethostname(),
        pid=os.getpid(),
        program=program_version(),
        deployment=DeploymentStorage(database).name(),
        missing=tuple(missing),
        device=device,
    )


@contextmanager
def announced(
    connection: Redis, database: Database, models: ModelRegistry, device: str
) -> Iterator[None]:
    """Keep this worker's card in Redis inside the block."""
    key = f"{PREFIX}{socket.gethostname()}:{os.getpid()}"

    def announce(_: Event) -> None:
        card = own_card(database, models, device)
        connection.set(key, json.dumps(asdict(card)), ex=LIFE_SECONDS)

    try:
        with repeated("the worker's card", EVERY_SECONDS, announce):
            yield
    finally:
        with suppress(RedisError):  # it ends by itself
            connection.delete(key)


def worker_cards(connection: Redis) -> list[WorkerCard]:
    """Return the cards of all workers that use a Redis, sorted by host; leave out unknown ones."""
    found = []
    for key in connection.scan_iter(match=f"{PREFIX}*"):
        try:
            card = WorkerCard(**json.loads(connection.get(key) or "{}"))
        except (ValueError, TypeError):
            continue  # of a worker that runs another version
        found.append(card)
    return sorted(found, key=lambda card: (card.host, card.pid))
