"""`python -m backend demo`: Label Studio, the backend and a project with suggestions, at once."""

import signal
import sys
import time
from pathlib import Path

import click
from tqdm import tqdm

from backend.commands.demo_processes import (
    DemoBackend,
    DemoState,
    start_backend,
    start_label_studio,
)
from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.commands.demo_report import instructions, print_results
from backend.commands.demo_subject import prepare
from backend.settings import Settings, load_settings

DATA_DIR = Path("demo-data")
LABEL_STUDIO = Path(".venv-label-studio/bin/label-studio")

_POLL_SECONDS = 0.5

# After this long without a new suggestion, ask the backend for failures.
_CHECK_FAILURES_SECONDS = 2.0

# Added to JOB_TIMEOUT, the longest time for one image.
_EXTRA_WAIT_SECONDS = 60.0


@click.command()
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of your own images. Default: drawn vehicles.",
)
@click.option("--check", is_flag=True, help="Verify that every task got a suggestion, then stop.")
@click.option(
    "--label-studio",
    type=click.Path(path_type=Path),
    default=LABEL_STUDIO,
    show_default=True,
    metavar="PROGRAM",
    help="Label Studio, in a Python environment of its own.",
)
def demo(images: Path | None, check: bool, label_studio: Path) -> int:
    """Run backend, Label Studio and a sample project at once."""
    return run_demo(load_settings(), label_studio=label_studio, images=images, check=check)


def run_demo(
    settings: Settings, *, label_studio: Path, images: Path | None = None, check: bool = False
) -> int:
    """Start everything, and stop it at Ctrl-C.

    Args:
        settings: settings of the backend; port and data folder are chosen here unless set.
        label_studio: the program, in its own environment.
        images: folder of images; None for drawn vehicles.
        check: verify that every task has its suggestion, print a table, and stop.

    Returns:
        0; with `check`, 1 if a task lacks its suggestion.

    Raises:
        RuntimeError: something is missing or did not start; the message says what to do.
    """
    signal.signal(signal.SIGTERM, _exit)  # so that the block below stops what it started
    folder = settings.data_dir if "data_dir" in settings.model_fields_set else DATA_DIR
    folder.mkdir(parents=True, exist_ok=True)
    state = DemoState(folder / "demo.json")
    with start_label_studio(label_studio, folder / "label-studio", state) as studio:
        subject = prepare(settings, images, folder)
        with start_backend(settings, subject, studio, folder, state) as backend:
            studio.wait_until_ready()
            version = backend.wait_until_ready()
            project = find_or_create(studio, subject.title, label_config(subject.classes))
            project.upload(subject.images)
            project.connect(backend.url)
            project.retrieve_predictions()
            timeout = _EXTRA_WAIT_SECONDS + settings.job_timeout
            failures = _wait_for_suggestions(project, backend, version, timeout)
            if check:
                return print_results(project, version, failures)
            print(instructions(project, backend, failures), flush=True)
            while True:
                backend.expect_alive()
                studio.expect_alive()
                time.sleep(_POLL_SECONDS)


def _exit(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _wait_for_suggestions(
    project: DemoProject, backend: DemoBackend, version: str, timeout: float
) -> dict[int, str]:
    """Wait until every task has a suggestion or has failed, and show the progress.

    Args:
        timeout: without any new suggestion, s.

    Returns:
        Task id → reason, for each task without a suggestion.
    """
    tasks = set(project.tasks())
    failures: dict[int, str] = {}
    last_progress = time.monotonic()
    with tqdm(total=len(tasks), desc="Finding keypoints", unit="image") as bar:
        while True:
            backend.expect_alive()
            waiting = tasks - set(project.predictions(version)) - set(failures)
            if len(tasks) - len(waiting) > bar.n:
                bar.update(len(tasks) - len(waiting) - bar.n)
                last_progress = time.monotonic()
            if not waiting:
                return failures
            idle = time.monotonic() - last_progress
            if idle > timeout:
                reason = f"no suggestion within {timeout:.0f} s; see {backend.log}"
                return failures | dict.fromkeys(waiting, reason)
            if idle > _CHECK_FAILURES_SECONDS:
                failures |= backend.failures(waiting)
            time.sleep(_POLL_SECONDS)
