"""`python -m backend demo`: Label Studio, the backend and a project with suggestions, at once."""

import signal
import sys
import time
from pathlib import Path

import click

from backend.commands.demo_check import print_check
from backend.commands.demo_corrections import correct_first
from backend.commands.demo_processes import DemoState, start_backend, start_label_studio
from backend.commands.demo_project import find_or_create
from backend.commands.demo_report import instructions
from backend.commands.demo_subject import prepare
from backend.commands.demo_suggestions import wait_for_suggestions
from backend.private_files import close_to_others, create_files_privately
from backend.settings import Settings, load_settings

DATA_DIR = Path("demo-data")
LABEL_STUDIO = Path(".venv-label-studio/bin/label-studio")

_POLL_SECONDS = 0.5

# Added to JOB_TIMEOUT, the longest time for one image.
_EXTRA_WAIT_SECONDS = 60.0


@click.command()
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of your own images. Default: drawn cars.",
)
@click.option("--check", is_flag=True, help="Verify the suggestions, then stop.")
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
        check: verify the suggestions of the tasks without annotation, print a table, and stop.

    Returns:
        0; with `check`, 1 if a task lacks its suggestion, or too few named points are right.

    Raises:
        RuntimeError: something is missing or did not start; the message says what to do.
    """
    signal.signal(signal.SIGTERM, _exit)  # so that the block below stops what it started
    folder = settings.data_dir if "data_dir" in settings.model_fields_set else DATA_DIR
    create_files_privately()
    folder.mkdir(parents=True, exist_ok=True)
    close_to_others([folder])  # it holds the token and the database of Label Studio
    state = DemoState(folder / "demo.json")
    with start_label_studio(label_studio, folder / "label-studio", state) as studio:
        subject = prepare(settings, images, folder)
        with start_backend(settings, subject, studio, folder, state) as backend:
            studio.wait_until_ready()
            backend.wait_until_ready()
            project = find_or_create(studio, subject.title, subject.label_config)
            project.upload(subject.images)
            project.connect(backend.url)
            timeout = _EXTRA_WAIT_SECONDS + settings.job_timeout
            if subject.landmarks is not None:
                correct_first(project, backend, subject, timeout)
            tasks = project.not_annotated()
            if tasks:
                project.retrieve_predictions(tasks)
            failures = wait_for_suggestions(project, backend, tasks, timeout)
            if check:
                version = backend.state_of(project.uid()).model_version
                return print_check(project, subject, tasks, version, failures)
            print(instructions(project, backend, subject, tasks, failures), flush=True)
            while True:
                backend.expect_alive()
                studio.expect_alive()
                time.sleep(_POLL_SECONDS)


def _exit(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)
