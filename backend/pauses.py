"""Shorten the pauses in which all threads of a process wait for one.

Shorter turns of the threads (`sys.setswitchinterval`), which help a worker, make the web process
slower where the machine is busy: each turn costs one of the scheduler.
"""

import gc


def exempt_from_collections() -> None:
    """Exempt all objects that exist now from garbage collections.

    A full collection stops every thread while it visits each object. It runs whenever a quarter
    has been added to the long-lived ones, as one large request does; visiting those of the
    libraries takes 100 ms and more, and frees nothing.
    """
    gc.freeze()
