"""Ways for a job to end early: it fails with a reason, or its worker has to stop."""

from collections.abc import Iterator
from contextlib import contextmanager

_interruptible = False
_interrupt_requested = False


class JobFailed(Exception):
    """The job could not be done; the message says why."""


class Interrupted(BaseException):
    """The worker has to stop: the job goes back to the queue."""


def reset_interrupt() -> None:
    """Forget an earlier call of `interrupt`, so that interruptible blocks may start again."""
    global _interrupt_requested
    _interrupt_requested = False


def interrupt() -> None:
    """Interrupt the running block, and refuse to start another; call from a signal handler.

    Raises:
        Interrupted: an interruptible block is running.
    """
    global _interrupt_requested
    _interrupt_requested = True
    if _interruptible:
        raise Interrupted


@contextmanager
def interruptible() -> Iterator[None]:
    """Let `interrupt` end the block at any point.

    Raises:
        Interrupted: `interrupt` was called, before the block or inside it.
    """
    global _interruptible
    _interruptible = True
    try:
        if _interrupt_requested:
            raise Interrupted
        yield
    finally:
        _interruptible = False
