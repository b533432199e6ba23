"""Child processes that end when told to, and never outlive the process that started them."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | None = None,
    when_parent_dies: signal.Signals = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own: Ctrl-C in a terminal reaches its parent alone.

    Args:
        command: program and arguments.
        env: the whole environment; None for ours.
        cwd: folder to run in; None for ours.
        output: where its output and errors go; None for ours.
        when_parent_dies: what the kernel sends to it should we be killed (Linux only).
        pass_fds: file descriptors that it inherits.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
        pass_fds=pass_fds,
        preexec_fn=partial(_die_with_parent, libc, os.getpid(), when_parent_dies),
    )


def end(process: subprocess.Popen[bytes], *, grace: float) -> None:
    """Ask a process to end; after `grace` seconds kill it, and in any case whatever it started."""
    end_all([process], grace=grace)


def end_all(processes: Sequence[subprocess.Popen[bytes]], *, grace: float) -> None:
    """End several processes at the same time, as `end` does one."""
    deadline = time.monotonic() + grace
    for process in processes:
        process.terminate()
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        kill_group(process)
        process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process of ours, also one that has ended, and whatever it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _die_with_parent(libc: ctypes.CDLL | None, parent: int, signal_number: int) -> None:
    """Run in the new process before its program starts."""
    if libc is None:
        return
    libc.prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # it died before the kernel knew
        os._exit(1)
