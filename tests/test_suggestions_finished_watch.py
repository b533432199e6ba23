"""Threads that wait for workers share their questions to the database."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import wait_until
from sqlalchemy.exc import OperationalError

from backend.suggestions.finished_watch import FinishedWatch

SOON, NEVER = 0.3, 60.0


class Rows:
    """Rows that a test finishes, and what was asked about them."""

    def __init__(self) -> None:
        self.done: set[int] = set()
        self.asked: list[list[int]] = []
        self.fails: Exception | None = None

    def finished(self, ids: Sequence[int]) -> set[int]:
        self.asked.append(list(ids))
        if self.fails is not None:
            raise self.fails
        return self.done & set(ids)


def watching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "watch"]


def test_fifty_threads_that_wait_ask_with_one_query() -> None:
    rows = Rows()
    watch = FinishedWatch(rows.finished)
    with ThreadPoolExecutor(50) as pool:
        deadline = time.monotonic() + NEVER
        waiting = [pool.submit(watch.wait, [number], deadline) for number in range(50)]
        wait_until(lambda: rows.asked and rows.asked[-1] == list(range(50)))
        assert len(watching()) == 1
        rows.done |= {7}
        wait_until(waiting[7].done)
        assert sum(each.done() for each in waiting) == 1
        rows.done |= set(range(50))
        for each in waiting:
            each.result(30)
    wait_until(lambda: not watching())


def test_a_thread_waits_for_all_of_its_rows() -> None:
    rows = Rows()
    watch = FinishedWatch(rows.finished)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watch.wait, [1, 2], time.monotonic() + NEVER)
        rows.done |= {1}
        wait_until(lambda: rows.asked and rows.asked[-1] == [2])
        assert not waiting.done()
        rows.done |= {2}
        waiting.result(30)


def test_nobody_waits_longer_than_the_deadline_and_then_nothing_is_asked() -> None:
    rows = Rows()
    watch = FinishedWatch(rows.finished)
    watch.wait([1], time.monotonic() + SOON)
    wait_until(lambda: not watching())
    count = len(rows.asked)
    watch.wait([1], time.monotonic())
    watch.wait([], time.monotonic() + NEVER)
    assert len(rows.asked) == count > 0


@pytest.mark.parametrize("error", [OperationalError("SELECT", {}, Exception()), ValueError("odd")])
def test_a_question_that_fails_is_asked_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    rows = Rows()
    rows.fails = error
    watch = FinishedWatch(rows.finished)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watch.wait, [1], time.monotonic() + NEVER)
        wait_until(lambda: len(rows.asked) >= 2)
        rows.fails, rows.done = None, {1}
        waiting.result(30)
    assert "Asked again soon" in caplog.text
