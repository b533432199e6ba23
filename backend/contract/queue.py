"""The queue of detection jobs, as a process that answers requests uses it."""

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from rq import Queue

from backend import retries
from backend.settings import Settings, SettingsError
from backend.suggestions.queue import make_queue

REDIS_SECONDS = 5.0


def open_queue(settings: Settings) -> Queue:
    """Return the queue; connects to nothing.

    Its client gives up quickly: without Redis every task is still in the database.

    Raises:
        SettingsError: the settings name no Redis.
    """
    if settings.redis_url is None:
        raise SettingsError(
            "REDIS_URL: expected the Redis that the workers use, got nothing; "
            "or start everything at once with `python -m backend serve`"
        )
    connection = Redis.from_url(
        settings.redis_url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(ConstantBackoff(retries.WEB_REDIS.first), retries.WEB_REDIS_RETRIES),
    )
    return make_queue(connection)
