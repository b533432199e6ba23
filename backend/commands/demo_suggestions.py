"""Wait for the suggestions of the demonstration."""

import time
from collections.abc import Collection

from tqdm import tqdm

from backend.commands.demo_processes import DemoBackend
from backend.commands.demo_project import DemoProject

_POLL_SECONDS = 0.5

# After this long without a new suggestion, ask the backend for failures.
_CHECK_FAILURES_SECONDS = 2.0


def wait_for_suggestions(
    project: DemoProject,
    backend: DemoBackend,
    tasks: Collection[int],
    timeout: float,
    title: str = "Finding keypoints",
) -> dict[int, str]:
    """Wait until every task has a suggestion or has failed, and show the progress.

    Args:
        timeout: without any new suggestion, s.
        title: of the progress bar.

    Returns:
        Task id → reason, for each task without a suggestion.
    """
    uid = project.uid()
    failures: dict[int, str] = {}
    last_progress = time.monotonic()
    with tqdm(total=len(tasks), desc=title, unit="image") as bar:
        while True:
            backend.expect_alive()
            version = backend.state_of(uid).model_version
            waiting = set(tasks) - set(project.predictions(version)) - set(failures)
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
