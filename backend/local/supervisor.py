"""Keep processes running until told to stop, then leave none of them behind."""

import logging
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from backend import retries
from backend.local.processes import end_all, kill_group

log = logging.getLogger(__name__)

Launch = Callable[[], subprocess.Popen[bytes]]


class ChildRefused(RuntimeError):
    """A child ended before it was of use, so that starting it again would change nothing."""


@dataclass
class _Child:
    name: str
    launch: Launch
    foundation: bool
    process: subprocess.Popen[bytes]
    started_at: float
    deaths: int = 0  # in a row
    due_at: float | None = None  # when to start it again; None while it runs


class Supervisor:
    """Starts children, starts the dead among them again, and ends them all.

    Args:
        refusal: exit status by which a child says that it cannot run with these settings.
        backoff: pauses before a dead child is started again.
        steady: s; a child that ran for longer counts as healthy, and its pauses start over.
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
        """Start a child now; a foundation is ended after all that stand on it."""
        process = launch()
        now = time.monotonic()
        self._children.append(_Child(name, launch, foundation, process, now))

    def check(self) -> None:
        """Look after every child once: note the dead, start those that are due.

        Raises:
            ChildRefused: a child ended with the status of a refusal.
        """
        for child in self._children:
            if child.due_at is None and child.process.poll() is not None:
                self._mourn(child)
            if child.due_at is not None and time.monotonic() >= child.due_at:
                self._revive(child)

    def all_running(self) -> bool:
        """Whether no child is known to have died and not yet been started again."""
        return all(child.due_at is None for child in self._children)

    def end(self, *, grace: float) -> None:
        """End every child within about `grace` seconds; the foundations after that, likewise."""
        for foundation in (False, True):
            end_all([c.process for c in self._children if c.foundation is foundation], grace=grace)

    def _mourn(self, child: _Child) -> None:
        status = child.process.returncode
        kill_group(child.process)
        if status == self._refusal:
            raise ChildRefused(f"{child.name} cannot run with these settings: its reason is above")
        if time.monotonic() - child.started_at > self._steady:
            child.deaths = 0
        self._schedule(child, f"ended with status {status}")

    def _revive(self, child: _Child) -> None:
        try:
            child.process = child.launch()
        except (OSError, RuntimeError) as error:
            self._schedule(child, f"did not start: {error}")
            return
        child.started_at = time.monotonic()
        child.due_at = None

    def _schedule(self, child: _Child, happening: str) -> None:
        pause = self._backoff.pause(child.deaths)
        log.warning("%s %s; starting it again in %.1f s", child.name, happening, pause)
        child.due_at = time.monotonic() + pause
        child.deaths += 1
