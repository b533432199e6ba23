"""Say how far the learning of a project is, and what its next corrections change."""

from collections.abc import Iterator

from backend.learning.records import LearningStatus
from backend.learning.steps import LATER, STEPS

_NUMBERS = {3: "three"}
TO_DO = (
    f"correct {_NUMBERS[STEPS[0]]} images, that is, draw their points, each with its label, and "
    "submit them"
)


def say_progress(status: LearningStatus, *, suggests_before: bool) -> str:
    """Say what a project's suggestions are made from, and what comes next.

    Args:
        suggests_before: whether the project gets suggestions before its first corrections.
    """
    return " ".join(_sentences(status, suggests_before))


def _sentences(status: LearningStatus, suggests_before: bool) -> Iterator[str]:
    if status.in_use:
        yield f"Suggests named points, learnt from {_images(status.in_use)}."
        due = next_step(status.in_use)
        yield f"Suggestions are renewed at {due} images; {status.learnt} are learnt so far."
    elif suggests_before:
        yield "Suggests points without names of landmarks."
        yield f"Names begin with {_images(STEPS[0])}; {status.learnt} of {STEPS[0]} so far."
    else:
        yield f"Suggests no points yet: {TO_DO}. {status.learnt} of {STEPS[0]} so far."
    if status.waiting:
        verb = "is" if status.waiting == 1 else "are"
        yield f"{_images(status.waiting)} {verb} being learnt."


def _images(count: int) -> str:
    return "1 corrected image" if count == 1 else f"{count} corrected images"


def next_step(images: int) -> int:
    """Return the number of images at which the next version of the suggestions is due."""
    return next((step for step in STEPS if step > images), images - images % LATER + LATER)
