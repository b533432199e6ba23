import logging
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from backend.local.processes import spawn
from backend.local.supervisor import ChildRefused, Supervisor
from backend.retries import Backoff

REFUSAL = 78
SLEEPS = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


class Recorded:
    """Launches a script and records its processes."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.processes: list[subprocess.Popen[bytes]] = []

    def __call__(self) -> subprocess.Popen[bytes]:
        self.processes.append(spawn([sys.executable, "-c", self.script]))
        return self.processes[-1]


@pytest.fixture
def supervisor():
    supervisor = Supervisor(refusal=REFUSAL, backoff=Backoff(0.05, 2.0, 0.2))
    yield supervisor
    supervisor.end(grace=0)


def check_until(supervisor: Supervisor, holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        supervisor.check()
        time.sleep(0.01)


def test_a_child_that_was_killed_is_started_again(supervisor):
    child = Recorded(SLEEPS)
    supervisor.start("child", child)

    child.processes[0].kill()

    check_until(supervisor, lambda: len(child.processes) == 2)
    assert child.processes[1].poll() is None


def test_a_child_that_keeps_dying_is_started_at_growing_intervals(supervisor, caplog):
    child = Recorded("raise SystemExit(3)")
    supervisor.start("child", child)

    check_until(supervisor, lambda: len(child.processes) == 4)

    delays = [record.args[2] for record in caplog.records if record.levelno == logging.WARNING]
    assert delays[:3] == [0.05, 0.1, 0.2]


def test_a_child_that_ran_for_long_is_started_again_without_a_growing_interval(caplog):
    supervisor = Supervisor(refusal=REFUSAL, backoff=Backoff(0.05, 2.0, 0.2), steady=0.0)
    child = Recorded("raise SystemExit(3)")
    supervisor.start("child", child)

    check_until(supervisor, lambda: len(child.processes) == 4)
    supervisor.end(grace=0)

    delays = [record.args[2] for record in caplog.records if record.levelno == logging.WARNING]
    assert delays[:3] == [0.05, 0.05, 0.05]


def test_while_a_child_waits_for_its_restart_not_all_are_running(supervisor):
    children = [Recorded(SLEEPS), Recorded(SLEEPS)]
    for number, child in enumerate(children):
        supervisor.start(f"child {number}", child)
    assert supervisor.all_running()

    children[0].processes[0].kill()

    check_until(supervisor, lambda: not supervisor.all_running())
    check_until(supervisor, supervisor.all_running)
    assert len(children[0].processes) == 2


def test_a_child_that_refuses_its_settings_is_not_started_again(supervisor):
    child = Recorded(f"raise SystemExit({REFUSAL})")
    supervisor.start("the worker", child)

    with pytest.raises(ChildRefused, match="the worker cannot run with these settings"):
        check_until(supervisor, lambda: False)
    assert len(child.processes) == 1


def test_a_launch_that_fails_is_tried_again(supervisor):
    child = Recorded(SLEEPS)
    attempts = []

    def launch():
        attempts.append(len(attempts))
        if len(attempts) == 2:
            raise RuntimeError("the folder is still in use")
        return child()

    supervisor.start("child", launch)
    child.processes[0].kill()

    check_until(supervisor, lambda: len(child.processes) == 2)
    assert len(attempts) == 3


def test_ending_leaves_none_running_not_even_one_that_does_not_listen(supervisor):
    children = [Recorded(SLEEPS), Recorded(DEAF)]
    for number, child in enumerate(children):
        supervisor.start(f"child {number}", child)

    supervisor.end(grace=0.3)

    assert all(child.processes[0].returncode is not None for child in children)


def test_a_foundation_ends_after_what_stands_on_it(supervisor, tmp_path):
    """A worker returns its job to Redis when it has to stop."""
    says_when_it_ends = (
        "import pathlib, signal, sys, time\n"
        "def leave(*_):\n"
        "    time.sleep({wait})\n"
        f"    open({str(tmp_path / 'order')!r}, 'a').write('{{name}} ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        f"pathlib.Path({str(tmp_path)!r}, '{{name}}').touch()\n"
        "time.sleep(600)\n"
    )
    supervisor.start(
        "redis", Recorded(says_when_it_ends.format(name="redis", wait=0)), foundation=True
    )
    supervisor.start("worker", Recorded(says_when_it_ends.format(name="worker", wait=0.3)))
    ready = [tmp_path / "redis", tmp_path / "worker"]
    check_until(supervisor, lambda: all(file.exists() for file in ready))

    supervisor.end(grace=20)

    assert (tmp_path / "order").read_text() == "worker redis "
