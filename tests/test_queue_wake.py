"""Work that has come is found before the next round of a worker's maintenance."""

import threading
import time

from conftest import wait_until
from redis import Redis

from backend.queue.wake import KEPT_SECONDS, KEY, Waker, wait_for_wake, wake

NOWHERE = Redis(port=1)


def waiter(connection: Redis, stop: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=wait_for_wake, args=(connection, stop, 600))
    thread.start()
    return thread


def test_a_wake_ends_the_wait_of_one_worker(redis_connection: Redis) -> None:
    stop = threading.Event()
    threads = [waiter(redis_connection, stop) for _ in range(2)]
    wake(redis_connection)
    wait_until(lambda: sum(each.is_alive() for each in threads) == 1)
    stop.set()
    for each in threads:
        each.join(30)
    assert not any(each.is_alive() for each in threads)


def test_wakes_that_nobody_waits_for_are_one_and_are_forgotten(redis_connection: Redis) -> None:
    for _ in range(5):
        wake(redis_connection)
    assert redis_connection.llen(KEY) == 1
    assert 0 < redis_connection.ttl(KEY) <= KEPT_SECONDS
    wait_for_wake(redis_connection, threading.Event(), 600)
    assert redis_connection.exists(KEY) == 0


def test_without_redis_the_pause_is_as_long_as_ever_and_nothing_fails() -> None:
    wake(NOWHERE)
    began = time.monotonic()
    wait_for_wake(NOWHERE, threading.Event(), 1)
    assert time.monotonic() - began >= 1


def test_a_request_does_not_wait_for_redis(redis_connection: Redis) -> None:
    waker = Waker(redis_connection)
    for _ in range(3):
        waker.wake()
    wait_until(lambda: redis_connection.llen(KEY) == 1)
    redis_connection.delete(KEY)
    waker.wake()
    wait_until(lambda: redis_connection.llen(KEY) == 1)


def test_a_client_that_is_closed_does_not_break_into_a_wake(
    redis_url: str, redis_connection: Redis
) -> None:
    client = Redis.from_url(redis_url)
    waker = Waker(client)
    for _ in range(200):
        waker.wake()
        client.ping()
        client.close()
    redis_connection.delete(KEY)
    waker.wake()
    wait_until(lambda: redis_connection.llen(KEY) == 1)
