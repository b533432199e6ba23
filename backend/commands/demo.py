"""Everything on this machine at once: Label Studio, the backend, a project with suggestions."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from backend.commands.demo_project import DemoProject, find_or_create, label_config, uploaded_name
from backend.commands.demo_subject import Subject, prepare
from backend.local.label_studio import LocalLabelStudio, free_port, running
from backend.local.processes import end, spawn
from backend.settings import Settings

DATA_DIR = Path("demo-data")

_BACKEND_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.5

# After so long without a suggestion, ask whether some have failed.
_LULL_SECONDS = 2.0

# On top of the longest time that one image may take.
_PATIENCE_SECONDS = 60.0


def demo(
    settings: Settings,
    *,
    label_studio: Path,
    images: Path | None = None,
    check: bool = False,
) -> int:
    """Show the backend at work in a real Label Studio, until Ctrl-C.

    Args:
        settings: of the backend; port and folder are chosen here where they are not set.
        label_studio: the program, in its own environment.
        images: folder of images; None for drawn vehicles.
        check: verify that every task has its suggestion, print a table, and end.

    Returns:
        0; with `check` 1 where a task lacks its suggestion.

    Raises:
        RuntimeError: something is missing or did not start; what to do.
    """
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is ended
    folder = settings.data_dir if "data_dir" in settings.model_fields_set else DATA_DIR
    folder.mkdir(parents=True, exist_ok=True)
    memory = _Memory(folder / "demo.json")
    with _label_studio(label_studio, folder / "label-studio", memory) as studio:
        subject = prepare(settings, images, folder)
        with _backend(settings, subject, studio, folder, memory) as backend:
            studio.wait_until_ready()
            version = backend.wait_until_ready()
            project = find_or_create(studio, subject.title, label_config(subject.classes))
            project.upload(subject.images)
            project.connect(backend.url)
            project.retrieve_predictions()
            reasons = _wait_for_suggestions(
                project, backend, version, _PATIENCE_SECONDS + settings.job_timeout
            )
            if check:
                return _report(project, version, reasons)
            print(_what_to_look_at(project, backend, reasons), flush=True)
            while True:
                backend.expect_alive()
                studio.expect_alive()
                time.sleep(_POLL_SECONDS)


def _leave(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


class _Memory:
    """Ports and token, kept so that the next start finds everything where it was."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def port(self, name: str, preferred: int) -> int:
        """The port of last time where it is free still, else the preferred one, else any."""
        port = free_port(int(self._known.get(f"{name} port", preferred)))
        self._keep(f"{name} port", port)
        return port

    def token(self) -> str:
        """Of Label Studio's user."""
        token = str(self._known.get("token") or secrets.token_hex(20))
        self._keep("token", token)
        return token

    def _keep(self, name: str, value: object) -> None:
        self._known[name] = value
        self._file.touch(mode=0o600)
        self._file.write_text(json.dumps(self._known))


@contextmanager
def _label_studio(program: Path, folder: Path, memory: _Memory) -> Iterator[LocalLabelStudio]:
    port = memory.port("Label Studio", 8080)
    first = "" if folder.exists() else " for the first time, which takes about a minute"
    print(f"Starting Label Studio{first} ...", flush=True)
    with running(program, folder, port=port, token=memory.token()) as studio:
        yield studio


@dataclass(frozen=True)
class _Backend:
    """The backend of the demonstration, in processes of its own."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def wait_until_ready(self) -> str:
        """Model version, once it answers.

        Raises:
            RuntimeError: it ended instead; its own words.
        """
        deadline = time.monotonic() + _BACKEND_START_SECONDS
        while time.monotonic() < deadline:
            self.expect_alive()
            try:
                return str(requests.get(f"{self.url}/health", timeout=5).json()["model_version"])
            except requests.RequestException:
                time.sleep(0.1)
        raise RuntimeError(f"expected the backend to be ready by now; see {self.log}")

    def expect_alive(self) -> None:
        """Raise RuntimeError with its own words where it has ended."""
        if self.process.poll() is not None:
            words = "\n  ".join(self.log.read_text(errors="replace").strip().splitlines()[-5:])
            raise RuntimeError(f"The backend ended (all it said is in {self.log}):\n  {words}")

    def failures(self, tasks: Iterable[int]) -> dict[int, str]:
        """Number of each task that failed → the reason."""
        jobs = {task: requests.get(f"{self.url}/jobs/{task}", timeout=30).json() for task in tasks}
        return {task: job["reason"] for task, job in jobs.items() if job.get("status") == "failed"}


@contextmanager
def _backend(
    settings: Settings, subject: Subject, studio: LocalLabelStudio, folder: Path, memory: _Memory
) -> Iterator[_Backend]:
    asked_for = settings.port if "port" in settings.model_fields_set else None
    port = asked_for or memory.port("backend", settings.port)
    environment = {
        **os.environ,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATA_DIR": str(folder / "backend"),
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_API_KEY": studio.token,
        "MODEL_ARCH": subject.arch or "",
        "MODEL_WEIGHTS": subject.weights or "",
        # The demonstration listens to this machine alone.
        "BASIC_AUTH_USER": "",
        "BASIC_AUTH_PASS": "",
    }
    print("Starting the backend ...", flush=True)
    log = folder / "backend.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "backend", "serve"]
        process = spawn(command, env=environment, output=output)
    try:
        yield _Backend(f"http://127.0.0.1:{port}", log, process)
    finally:
        end(process, grace=_STOP_SECONDS)


def _wait_for_suggestions(
    project: DemoProject, backend: _Backend, version: str, patience: float
) -> dict[int, str]:
    """Wait until every task has its suggestion or has failed; a bar shows how far it is.

    Args:
        version: of the model.
        patience: s without any progress after which to give up.

    Returns:
        Number of each task that got none → the reason.
    """
    tasks = set(project.tasks())
    reasons: dict[int, str] = {}
    last_progress = time.monotonic()
    with tqdm(total=len(tasks), desc="Finding keypoints", unit="image") as bar:
        while True:
            backend.expect_alive()
            waiting = tasks - set(project.predictions(version)) - set(reasons)
            if len(tasks) - len(waiting) > bar.n:
                bar.update(len(tasks) - len(waiting) - bar.n)
                last_progress = time.monotonic()
            if not waiting:
                return reasons
            silence = time.monotonic() - last_progress
            if silence > patience:
                late = f"nothing came within {patience:.0f} s; see {backend.log}"
                return reasons | dict.fromkeys(waiting, late)
            if silence > _LULL_SECONDS:
                reasons |= backend.failures(waiting)
            time.sleep(_POLL_SECONDS)


def _report(project: DemoProject, version: str, reasons: Mapping[int, str]) -> int:
    """Print what every task got; 1 unless each has one suggestion with a keypoint at least."""
    found = project.predictions(version)
    rows = [
        _row(task, image, found.get(task, []), reasons.get(task))
        for task, image in sorted(project.tasks().items())
    ]
    header = ("task", "image", "suggestions", "keypoints", "class", "")
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    wrong = sum(1 for row in rows if row[-1])
    print(f"\n{len(rows) - wrong} of {len(rows)} tasks have their suggestion by {version}.")
    return 1 if wrong else 0


def _row(
    task: int, image: str, predictions: Sequence[Mapping[str, Any]], reason: str | None
) -> tuple[str, ...]:
    """Cells of one task; the last one says what is wrong with it and is empty where nothing is."""
    regions = [region for prediction in predictions for region in prediction["result"]]
    keypoints = [region for region in regions if region["type"] == "keypointlabels"]
    classes = [region["value"]["choices"][0] for region in regions if region["type"] == "choices"]
    wrong = ""
    if len(predictions) != 1:
        wrong = reason or f"expected one suggestion, got {len(predictions)}"
    elif not keypoints:
        wrong = "expected a keypoint at least, got none"
    counts = (str(len(predictions)), str(len(keypoints)))
    return (str(task), uploaded_name(image), *counts, ", ".join(classes), wrong)


def _what_to_look_at(project: DemoProject, backend: _Backend, reasons: Mapping[int, str]) -> str:
    studio = project.label_studio
    failed = [f"  task {task} has no suggestion: {reason}" for task, reason in reasons.items()]
    return "\n".join(
        [
            *failed,
            "",
            f"  Open      {project.url}",
            f"  User      {studio.user}",
            f"  Password  {studio.password}",
            "",
            '  Press "Label All Tasks": the suggestions are drawn on the image. Drag a point that',
            "  is off, delete one that is wrong (Backspace), add one with a label, then Submit.",
            "",
            f"  Backend   {backend.url} (its log: {backend.log})",
            "  Ctrl-C ends all of it; the next start finds everything as you left it.",
        ]
    )
