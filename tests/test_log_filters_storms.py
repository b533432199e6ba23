"""A storm of equal warnings becomes one line, and a second one that counts the others."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from conftest import at_once, wait_until
from serving import ROOT

from backend.log_filters.storms import MOST_REMEMBERED, StormFilter


class Log:
    """A logger of its own, and the lines that its handler writes."""

    def __init__(self, window: float) -> None:
        self._text = io.StringIO()
        handler = logging.StreamHandler(self._text)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        self.filter = StormFilter(handler.emit, window)
        handler.addFilter(self.filter)
        self.logger = logging.Logger("storm")
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        return self._text.getvalue().splitlines()


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log(window=3600)
    yield made
    made.filter.flush()


def test_equal_warnings_are_counted_whatever_their_numbers(log: Log) -> None:
    for task in range(300):
        log.logger.warning("Task %d of project 1.%d: no database", task, task)
    assert log.lines == ["WARNING Task 0 of project 1.0: no database"]
    log.filter.flush()
    assert log.lines[1:] == [
        "WARNING Task 299 of project 1.299: no database (299 more lines like this within 3600 s)"
    ]


def test_tracebacks_of_the_same_error_are_written_once(log: Log) -> None:
    for task in range(258):
        try:
            raise ConnectionError("server closed the connection")
        except ConnectionError:
            log.logger.exception("Task %d: unexpected error", task)
    log.filter.flush()
    assert sum(line.startswith("Traceback") for line in log.lines) == 1
    assert log.lines[-1].endswith("(257 more lines like this within 3600 s)")


@pytest.mark.parametrize(
    ("level", "text"), [("warning", "Redis is away"), ("error", "the database is away")]
)
def test_other_messages_are_not_held_back(log: Log, level: str, text: str) -> None:
    log.logger.warning("the database is away")
    getattr(log.logger, level)(text)
    assert len(log.lines) == 2


def test_what_is_no_warning_is_never_held_back(log: Log) -> None:
    for _ in range(3):
        log.logger.info("Task 1: delivered")
    assert len(log.lines) == 3


def test_errors_of_another_type_are_not_held_back(log: Log) -> None:
    for error in (ValueError("x"), OSError("x")):
        log.logger.error("Task 1: unexpected error", exc_info=error)
    assert len(log.lines) == 4  # each with the line of its exception


def test_the_count_is_written_when_the_window_ends_though_nothing_follows() -> None:
    log = Log(window=0.2)
    for _ in range(3):
        log.logger.warning("away")
    wait_until(lambda: len(log.lines) == 2)
    assert log.lines[1] == "WARNING away (2 more lines like this within 0.2 s)"


def test_a_storm_that_lasts_makes_one_line_a_window() -> None:
    log = Log(window=0.2)
    for _ in range(2):
        log.logger.warning("away")
    wait_until(lambda: len(log.lines) == 2)
    for _ in range(5):
        log.logger.warning("away")
    wait_until(lambda: len(log.lines) >= 3)
    written = [int(line.split("(")[1].split()[0]) if "(" in line else 1 for line in log.lines]
    log.filter.flush()
    assert written[:2] == [1, 1]
    assert sum(written) in (6, 7)  # the first of the second burst may begin a window of its own
    assert len(log.lines) <= 4


def test_threads_lose_no_count(log: Log) -> None:
    at_once(8, lambda _: [log.logger.warning("away") for _ in range(100)])
    log.filter.flush()
    assert log.lines == ["WARNING away", "WARNING away (799 more lines like this within 3600 s)"]


def test_many_kinds_of_messages_are_all_written_and_few_are_remembered(log: Log) -> None:
    names = [chr(0x4E00 + number) for number in range(MOST_REMEMBERED + 50)]
    for name in names:
        log.logger.warning("%s is away", name)
    assert len(log.lines) == len(names)
    assert len(log.filter._storms) == MOST_REMEMBERED


def test_a_forked_process_counts_anew(log: Log) -> None:
    log.logger.warning("away")
    log.logger.warning("away")
    child = os.fork()
    if child == 0:
        os._exit(len(log.filter._storms))
    assert os.waitpid(child, 0)[1] == 0
    assert len(log.filter._storms) == 1


def test_a_process_that_ends_writes_its_counts() -> None:
    code = (
        "import logging; from backend.logs import set_up_logging; set_up_logging('INFO'); "
        "[logging.warning('Task %d: away', task) for task in range(5)]"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    first, last = ended.stderr.splitlines()
    assert first.endswith("Task 0: away")
    assert last.endswith("Task 4: away (4 more lines like this within 60 s)")
