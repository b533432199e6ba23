"""Whether this web process can serve: what Kubernetes and load balancers ask before they send work.

Only what makes it answer nothing useful makes it unready. Without Redis or workers it still answers
with what is stored, and keeps every event and request for later; if it were taken out of service
then, all of its copies would be at once, and Label Studio's events would be lost. So that is
reported and does not count.
"""

import logging
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from backend.database.connection import Database
from backend.queue.own_client import own_client
from backend.suggestions.queue import NAME

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether to send requests here.

    Attributes:
        problems: why not; empty if it is ready.
        warnings: what is wrong all the same.
    """

    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Whether requests can be answered."""
        return not self.problems


class ReadinessProbe:
    """Checks what the web process needs.

    Args:
        connection: to the Redis of the queue; its own time-outs are too long for a probe.
    """

    def __init__(self, database: Database, connection: Redis) -> None:
        self._database = database
        limits = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), PROBE_SECONDS)
        self._redis = own_client(connection, **limits, retry=None)
        self._newest: frozenset[str] | None = None

    def check(self) -> Readiness:
        """Return what is wrong now."""
        problem = self._database_problem()
        warning = self._redis_warning()
        return Readiness(
            problems=() if problem is None else (problem,),
            warnings=() if warning is None else (warning,),
        )

    def _database_problem(self) -> str | None:
        try:
            if self._newest is None:
                self._newest = self._database.newest_version()
            found = self._database.version()
        except SQLAlchemyError as error:
            logger.warning("Not ready: %s", str(error).partition("\n")[0])
            return "the database cannot be reached: see the backend's log"
        if found == self._newest:
            return None
        has, expected = (", ".join(sorted(each)) or "none" for each in (found, self._newest))
        return (
            f"expected tables of version {expected}, got {has}: start `python -m backend serve`, "
            "`web` or `worker` of the newest version, each of which updates them"
        )

    def _redis_warning(self) -> str | None:
        try:
            workers = Worker.all(connection=self._redis, serializer=JSONSerializer)
        except RedisError:
            return "Redis cannot be reached: what is requested waits in the database"
        if any(NAME in worker.queue_names() for worker in workers):
            return None
        return "no worker is running: what is requested waits"
