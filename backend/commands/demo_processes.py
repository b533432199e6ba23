"""The processes of the demonstration, at the same addresses at every start."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from backend.commands.demo_subject import Subject
from backend.local.label_studio import LocalLabelStudio, free_port, running
from backend.local.processes import end, spawn
from backend.settings import Settings

_BACKEND_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_LABEL_STUDIO_PORT = 8080


class DemoState:
    """Ports and token, kept in a file so that the next start uses the same."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._values: dict[str, int | str] = json.loads(file.read_text()) if file.exists() else {}

    def port(self, name: str, preferred: int) -> int:
        """Return the port of the last start, else the preferred one; any other if it is taken."""
        port = free_port(int(self._values.get(f"{name} port", preferred)))
        self._save(f"{name} port", port)
        return port

    def token(self) -> str:
        """Return the token of Label Studio's user."""
        token = str(self._values.get("token") or secrets.token_hex(20))
        self._save("token", token)
        return token

    def _save(self, name: str, value: int | str) -> None:
        self._values[name] = value
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(self._values))


@contextmanager
def start_label_studio(program: Path, folder: Path, state: DemoState) -> Iterator[LocalLabelStudio]:
    """Run Label Studio inside the block."""
    port = state.port("Label Studio", _LABEL_STUDIO_PORT)
    first = "" if folder.exists() else " for the first time, which takes about a minute"
    print(f"Starting Label Studio{first} ...", flush=True)
    with running(program, folder, port=port, token=state.token()) as studio:
        yield studio


@dataclass(frozen=True)
class ProjectStatus:
    """What the backend reports of a project.

    Attributes:
        model_version: version of its suggestions.
        learnt: number of images learnt.
        failures: reason → number of corrected images that cannot be learnt.
    """

    model_version: str
    learnt: int
    failures: Mapping[str, int]


@dataclass(frozen=True)
class DemoBackend:
    """The running backend of the demonstration.

    Attributes:
        process: `python -m backend serve`.
    """

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def wait_until_ready(self) -> None:
        """Wait until the backend answers.

        Raises:
            RuntimeError: it ended or did not answer in time; with the end of its log.
        """
        deadline = time.monotonic() + _BACKEND_START_SECONDS
        while time.monotonic() < deadline:
            self.expect_alive()
            try:
                requests.get(f"{self.url}/health", timeout=5).raise_for_status()
                return
            except requests.RequestException:
                time.sleep(0.1)
        raise RuntimeError(
            f"expected the backend to answer within {_BACKEND_START_SECONDS:.0f} s; see {self.log}"
        )

    def expect_alive(self) -> None:
        """Raise RuntimeError with the end of the log if the backend has ended."""
        if self.process.poll() is not None:
            lines = "\n  ".join(self.log.read_text(errors="replace").strip().splitlines()[-5:])
            raise RuntimeError(f"The backend ended (its log is {self.log}):\n  {lines}")

    def state_of(self, project_uid: str) -> ProjectStatus:
        """Return what holds for a project that is connected.

        Raises:
            RuntimeError: the backend does not know it, or answers with an error.
        """
        answer = requests.get(f"{self.url}/", timeout=30)
        for each in answer.json()["projects"] if answer.ok else ():
            if each["project"] == project_uid:
                learning = each["learning"]
                return ProjectStatus(
                    str(each["model_version"]), int(learning["learnt"]), learning["failures"] or {}
                )
        raise RuntimeError(
            f"expected the backend to tell of project {project_uid}, which is connected to it, but "
            f"it does not (status {answer.status_code}); see {self.log}"
        )

    def failures(self, tasks: Iterable[int]) -> dict[int, str]:
        """Return task id → reason, for each of the tasks that failed."""
        jobs = {task: requests.get(f"{self.url}/jobs/{task}", timeout=30).json() for task in tasks}
        return {task: job["reason"] for task, job in jobs.items() if job.get("status") == "failed"}


@contextmanager
def start_backend(
    settings: Settings, subject: Subject, studio: LocalLabelStudio, folder: Path, state: DemoState
) -> Iterator[DemoBackend]:
    """Run the backend inside the block; it is not ready at first."""
    configured = settings.port if "port" in settings.model_fields_set else None
    port = configured or state.port("backend", settings.port)
    environment = {
        **os.environ,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(folder / "backend"),
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_API_KEY": studio.token,
        "MODEL_ARCH": subject.arch or "",
        "MODEL_WEIGHTS": subject.weights or "",
        # The demonstration listens on this machine alone.
        "BASIC_AUTH_USER": "",
        "BASIC_AUTH_PASS": "",
    }
    print("Starting the backend ...", flush=True)
    log = folder / "backend.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "backend", "serve"]
        process = spawn(command, env=environment, output=output)
    try:
        yield DemoBackend(f"http://127.0.0.1:{port}", log, process)
    finally:
        end(process, grace=_STOP_SECONDS)
