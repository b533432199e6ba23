"""Keep the memory of a process with many short-lived threads from growing."""

import ctypes
import sys

_M_ARENA_MAX = -8  # of glibc's <malloc.h>
ARENAS = 2


def share_arenas() -> None:
    """Have all threads take memory from few arenas; glibc only, no effect elsewhere.

    By default a thread takes memory from one of up to eight arenas for each core, and what images
    leave free in one is not used by another: a worker grows by a quarter over thousands of images.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
