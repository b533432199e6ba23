"""The demonstration corrects a few drawings itself, so that the backend learns their landmarks."""

import time
from collections.abc import Iterator
from uuid import uuid4

from tqdm import tqdm

from backend.commands.demo_drawings import TrueLandmarks
from backend.commands.demo_processes import DemoBackend
from backend.commands.demo_project import DemoProject, uploaded_name
from backend.commands.demo_subject import Subject
from backend.commands.demo_suggestions import wait_for_suggestions
from backend.labelstudio.label_config import KeypointControl, keypoint_control
from backend.labelstudio.regions import keypoint_regions
from backend.labelstudio.shapes import Json
from model.keypoint import Keypoint

CORRECTED = 5

_LEARN_SECONDS = 120.0  # for one image
_POLL_SECONDS = 0.2


def correct_first(
    project: DemoProject, backend: DemoBackend, subject: Subject, timeout: float
) -> None:
    """Submit the true landmarks of the first drawings, and wait until they are learnt.

    Drawings that have an annotation already are left as they are, so that a second start corrects
    nothing twice.

    Args:
        subject: drawings whose landmarks are known.
        timeout: longest time for one drawing's suggestion, s.

    Raises:
        RuntimeError: a drawing cannot be looked at or learnt; the message says why.
    """
    assert subject.landmarks is not None, "the caller has asked"
    images = project.tasks()
    first = sorted(images)[:CORRECTED]
    tasks = [task for task in project.not_annotated() if task in first]
    if not tasks:
        return
    # What an annotator saw is part of the log, so the tasks are opened before they are corrected.
    project.retrieve_predictions(tasks)
    failures = wait_for_suggestions(project, backend, tasks, timeout, "Looking at drawings")
    if failures:
        task, reason = next(iter(failures.items()))
        raise RuntimeError(f"expected a suggestion for task {task}, got none: {reason}")
    known = backend.state_of(project.uid()).learnt
    control = keypoint_control(subject.label_config)
    for task in tasks:
        true = subject.landmarks[uploaded_name(images[task])]
        project.annotate(task, list(_regions(true, control)))
    _wait_until_learnt(project, backend, known + len(tasks))


def _regions(true: TrueLandmarks, control: KeypointControl) -> Iterator[Json]:
    """Yield the landmarks as Label Studio's editor submits points that somebody has drawn."""
    for label, (x, y) in true.points.items():
        point = Keypoint(x, y, score=1.0, label=label)
        for region in keypoint_regions(point, true.size, control, uuid4().hex[:10], label):
            del region["score"]
            yield region | {"origin": "manual"}


def _wait_until_learnt(project: DemoProject, backend: DemoBackend, images: int) -> None:
    """Wait until the backend has learnt as many images, and show the progress.

    Raises:
        RuntimeError: an image cannot be learnt, or none was for a long time.
    """
    uid, last_progress = project.uid(), time.monotonic()
    with tqdm(total=images, desc="Learning landmarks", unit="image") as bar:
        while True:
            backend.expect_alive()
            state = backend.state_of(uid)
            if state.learnt > bar.n:
                bar.update(state.learnt - bar.n)
                last_progress = time.monotonic()
            if state.learnt >= images:
                return
            if state.failures or time.monotonic() - last_progress > _LEARN_SECONDS:
                reasons = "; ".join(state.failures) or f"none within {_LEARN_SECONDS:.0f} s"
                raise RuntimeError(
                    f"expected {images} corrected drawings to be learnt, got {state.learnt}: "
                    f"{reasons}; see {backend.log}"
                )
            time.sleep(_POLL_SECONDS)
