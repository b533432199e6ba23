"""Child processes that can be stopped, and that never outlive the process that started them."""

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
    """Start `command` in a session of its own, so that Ctrl-C reaches only its parent.

    Args:
        command: program and arguments.
        env: its whole environment; None for that of this process.
        cwd: its working directory; None for that of this process.
        output: file for its stdout and stderr; None for those of this process.
        when_parent_dies: signal that the kernel sends to it if this process dies (Linux only).
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
    """Stop a process; kill it after `grace` seconds, and in any case kill what it started."""
    end_all([process], grace=grace)


def end_all(processes: Sequence[subprocess.Popen[bytes]], *, grace: float) -> None:
    """Stop several processes at the same time; see `end`."""
    deadline = time.monotonic() + grace
    for process in processes:
        process.terminate()
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        kill_group(process)
        process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process made by `spawn` and what it started, even if the process itself has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _die_with_parent(libc: ctypes.CDLL | None, parent: int, signal_number: int) -> None:
    """Ask the kernel for a signal when the parent dies; runs in the child before its program."""
    if libc is None:
        return
    libc.prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # it died before this request
        os._exit(1)
