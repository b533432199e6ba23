"""`python -m backend serve` as a process of its own, for the tests that stop, kill and watch it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from backend.local.label_studio import free_port
from backend.local.processes import end, spawn

ROOT = Path(__file__).parent.parent

# In the environment that `make e2e` makes, or in another one.
LABEL_STUDIO = Path(os.environ.get("LS_VENV", ROOT / ".venv-label-studio")) / "bin" / "label-studio"
LABEL_STUDIO_ML = Path(os.environ.get("LSML_VENV", ROOT / ".venv-label-studio-ml"))

# What a person may have set, and a test must not see.
PLAIN_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "OMP_NUM_THREADS")
    or name == "COVERAGE_PROCESS_CONFIG"  # set while coverage is measured
}


def eventually(holds: Callable[[], object], seconds: float = 60) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@dataclass
class Serving:
    """A backend that serves."""

    url: str
    folder: Path
    log: Path
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str] = field(repr=False)

    def health(self) -> dict[str, Any] | None:
        """The answer of /health; None while there is none."""
        try:
            response = requests.get(f"{self.url}/health", timeout=5)
        except requests.RequestException:
            return None
        return dict(response.json()) if response.ok else None

    def pids(self, part: str) -> list[int]:
        """Processes among our descendants whose command line holds `part`."""
        return [pid for pid in descendants(self.process.pid) if part in command_line(pid)]

    def kill(self, part: str) -> None:
        """Kill those processes at once, as a machine short of memory would."""
        for pid in self.pids(part):
            os.kill(pid, signal.SIGKILL)

    def words(self) -> str:
        """Its whole output."""
        return self.log.read_text(errors="replace")


@contextmanager
def serving(
    folder: Path, environment: Mapping[str, str], *options: str, verb: str = "serve"
) -> Iterator[Serving]:
    """Start the backend with its data in `folder`; everything of it ends with the block.

    Args:
        options: of `serve`, or of another verb.
    """
    port = free_port()
    variables = {**PLAIN_ENVIRONMENT, "PORT": str(port), "DATA_DIR": str(folder), **environment}
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{verb}.log"
    with log.open("ab") as output:
        process = spawn(
            [sys.executable, "-m", "backend", verb, *options],
            env=variables,
            output=output,
            cwd=ROOT,
        )
    try:
        yield Serving(f"http://127.0.0.1:{port}", folder, log, process, variables)
    finally:
        end(process, grace=30)


def descendants(pid: int) -> list[int]:
    """Children of a process, their children, and so on."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    children = [int(child) for child in text.split()]
    return children + [one for child in children for one in descendants(child)]


def command_line(pid: int) -> str:
    """Program and arguments of a process; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    return state(pid) not in ("Z", None)


def state(pid: int) -> str | None:
    """State of a process, such as R (runs) or T (stopped); None for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None
