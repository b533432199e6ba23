"""Keep child processes running, and leave none of them behind at the end."""

import logging
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from backend import retries
from backend.local.processes import end_all, kill_group

logger = logging.getLogger(__name__)

Launch = Callable[[], subprocess.Popen[bytes]]


class ChildRefused(RuntimeError):
    """A child ended for a reason that a restart would not change."""


@dataclass
class _Child:
    name: str
    launch: Launch
    foundation: bool
    process: subprocess.Popen[bytes]
    started_at: float
    deaths: int = 0  # in a row
    restart_at: float | None = None  # monotonic clock; None while it runs


class Supervisor:
    """Starts child processes, restarts those that end, and stops them all.

    Args:
        refusal: exit status of a child that cannot run with these settings.
        backoff: delays before a child that ended is restarted.
        steady: s; a child that ran this long counts as healthy, which resets its delay.
    """

    def __init__(
        self,
        *,
        refusal: int,
        backoff: retries.Backoff = retries.CHILD_PROCESS,
        steady: float = retries.CHILD_STEADY_SECONDS,
    ) -> None:
        self._refusal = refusal
        self._backoff = backoff
        self._steady = steady
        self._children: list[_Child] = []

    def start(self, name: str, launch: Launch, *, foundation: bool = False) -> None:
        """Start a child now; `end` stops a foundation after all children that depend on it."""
        process = launch()
        now = time.monotonic()
        self._children.append(_Child(name, launch, foundation, process, now))

    def check(self) -> None:
        """Check every child once, and restart those whose delay is over.

        Raises:
            ChildRefused: a child ended with the status of a refusal.
        """
        for child in self._children:
            if child.restart_at is None and child.process.poll() is not None:
                self._handle_exit(child)
            if child.restart_at is not None and time.monotonic() >= child.restart_at:
                self._restart(child)

    def all_running(self) -> bool:
        """Return whether no child waits for its restart."""
        return all(child.restart_at is None for child in self._children)

    def end(self, *, grace: float) -> None:
        """Stop every child within about `grace` seconds, then the foundations likewise."""
        for foundation in (False, True):
            end_all([c.process for c in self._children if c.foundation is foundation], grace=grace)

    def _handle_exit(self, child: _Child) -> None:
        status = child.process.returncode
        kill_group(child.process)
        if status == self._refusal:
            raise ChildRefused(f"{child.name} cannot run with these settings: see its reason above")
        if time.monotonic() - child.started_at > self._steady:
            child.deaths = 0
        self._schedule_restart(child, f"ended with status {status}")

    def _restart(self, child: _Child) -> None:
        try:
            child.process = child.launch()
        except (OSError, RuntimeError) as error:
            self._schedule_restart(child, f"did not start: {error}")
            return
        child.started_at = time.monotonic()
        child.restart_at = None

    def _schedule_restart(self, child: _Child, event: str) -> None:
        delay = self._backoff.pause(child.deaths)
        logger.warning("%s %s; restarting it in %.1f s", child.name, event, delay)
        child.restart_at = time.monotonic() + delay
        child.deaths += 1
