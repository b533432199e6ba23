"""Shorten the pauses in which one thread of a process holds up all others."""

import gc
import sys

SWITCHES_AFTER_SECONDS = 0.0005


def take_short_turns() -> None:
    """Let threads of Python take turns every 0.5 ms while several have something to do.

    A detection, or the answer to a request, is hundreds of short operations. After each that
    leaves Python, its thread waits for the turn of a busy one, which lasts 5 ms by default.
    """
    sys.setswitchinterval(SWITCHES_AFTER_SECONDS)


def exempt_from_collections() -> None:
    """Exempt all objects that exist now from garbage collections.

    A full collection stops every thread while it visits each object. It runs whenever a quarter
    has been added to the long-lived ones, as one large request does; visiting those of the
    libraries takes 100 ms and more, and frees nothing.
    """
    gc.freeze()
