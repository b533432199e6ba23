"""What shortens the pauses of a web process, in a process of its own."""

import subprocess
import sys

import pytest

CODE = """
import gc, sys, threading
from backend.web import app, gunicorn_hooks
print(sys.getswitchinterval(), gc.get_freeze_count())
gunicorn_hooks.post_worker_init(None)
first = gc.get_freeze_count()
[each.join() for each in threading.enumerate() if each.name == "warm-up"]
print(sys.getswitchinterval(), first, gc.get_freeze_count(), len(gc.get_objects()))
"""


@pytest.fixture(scope="module")
def printed() -> list[list[float]]:
    """Interval and frozen objects before, and interval, frozen twice and visited ones after."""
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return [[float(each) for each in line.split()] for line in ended.stdout.splitlines()]


def test_threads_of_a_web_process_take_short_turns(printed: list[list[float]]) -> None:
    before, after = printed
    assert before[0] == pytest.approx(0.005)
    assert after[0] == pytest.approx(0.0005)


def test_collections_of_a_web_process_visit_no_libraries(printed: list[list[float]]) -> None:
    (_, none), (_, loaded, warm, visited) = printed
    assert none == 0
    assert loaded > 20_000, "objects of the application"
    assert warm > 1.2 * loaded, "and of what the first report needs"
    assert visited < 0.05 * warm
