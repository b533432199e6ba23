"""How a job ends before it is done: with a reason, or because its worker has to end."""

from collections.abc import Iterator
from contextlib import contextmanager

_interruptible = False
_told_to_end = False


class JobFailed(Exception):
    """A job could not be done now; says why."""


class Interrupted(BaseException):
    """The worker is told to end: what it was doing goes back to the queue."""


def begin_anew() -> None:
    """Forget that this process was told to end."""
    global _told_to_end
    _told_to_end = False


def interrupt() -> None:
    """From a signal handler: give up what can be given up, and begin nothing of the kind.

    Raises:
        Interrupted: something of the kind is going on.
    """
    global _told_to_end
    _told_to_end = True
    if _interruptible:
        raise Interrupted


@contextmanager
def interruptions() -> Iterator[None]:
    """What is inside the block can be given up at any point.

    Raises:
        Interrupted: the worker was told to end.
    """
    global _interruptible
    _interruptible = True
    try:
        if _told_to_end:
            raise Interrupted
        yield
    finally:
        _interruptible = False
