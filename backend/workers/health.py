"""Health check of a worker's container: whether a worker of this machine is alive."""

import socket

from redis import Redis
from redis.exceptions import RedisError
from rq import Worker

from backend.settings import Settings
from backend.suggestions.queue import NAME


def run(settings: Settings, queue: str = NAME) -> int:
    """Ask Redis for live workers; it forgets one that has been silent for two minutes.

    Args:
        queue: name of the queue that the worker takes its jobs from.

    Returns:
        Exit status: 0 if a worker of this machine is alive, else 1.
    """
    if settings.redis_url is None:
        print("expected REDIS_URL, the Redis that the worker uses, but it is not set")
        return 1
    machine = socket.gethostname()
    try:
        with Redis.from_url(settings.redis_url, socket_timeout=5) as connection:
            workers = [each for each in Worker.all(connection) if queue in each.queue_names()]
    except RedisError as error:
        print(f"Redis does not answer: {error}")
        return 1
    alive = [worker.name for worker in workers if worker.hostname == machine]
    print(f"alive on {machine}: {', '.join(alive) or 'no worker'}")
    return 0 if alive else 1
