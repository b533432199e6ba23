"""A client of the same Redis with connections of its own."""

from typing import Any

from redis import ConnectionPool, Redis


def own_client(connection: Redis, **changed: Any) -> Redis:
    """Return a client for where another one connects to, which may be closed meanwhile.

    Args:
        changed: arguments of its connections that differ, such as time-outs.
    """
    pool = connection.connection_pool
    arguments = {**pool.connection_kwargs, **changed}
    return Redis(
        connection_pool=ConnectionPool(connection_class=pool.connection_class, **arguments)
    )
