"""`make demo CHECK=1`: a table of the tasks without annotation, and what is wrong with them."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from backend.commands.demo_drawings import TrueLandmarks
from backend.commands.demo_project import DemoProject, uploaded_name
from backend.commands.demo_subject import Subject
from backend.labelstudio.regions import to_keypoint
from backend.labelstudio.schemas import Prediction

HEADER = ("task", "image", "suggestions", "keypoints", "class", "")
NAMED_HEADER = ("task", "image", "suggestions", "named points", "right", "")

# A named point is right within this share of the longer side of the car's box, as its score counts.
TOLERANCE = 0.05

FEWEST_RIGHT = 0.6  # share of the named points; below it the check fails

Rows = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class NamedCounts:
    """The named points of a drawing, or of several.

    Attributes:
        shown: number of suggested points that have a landmark's name and a score.
        right: number of these within the tolerance of their landmark.
        expected: sum of their scores, the number that is expected to be right.
        visible: number of visible landmarks.
    """

    shown: int
    right: int
    expected: float
    visible: int


def print_check(
    project: DemoProject,
    subject: Subject,
    tasks: Collection[int],
    version: str,
    failures: Mapping[int, str],
) -> int:
    """Print a table of tasks and their suggestions, and how many named points are right.

    Args:
        tasks: those without annotation.
        version: of the suggestions.
        failures: task id → reason, for tasks without a suggestion.

    Returns:
        0 if every task has one suggestion with at least one point, named where the landmarks are
        known, and enough of the named points are right; else 1.
    """
    found, images = project.predictions(version), project.tasks()
    made = {task: (images[task], found.get(task, [])) for task in sorted(tasks)}
    if subject.landmarks is None:
        rows = [result_row(task, *made[task], failures.get(task)) for task in made]
        return 1 if _print_rows(HEADER, rows, version) else 0
    counts = {
        task: count_named(predictions, subject.landmarks[uploaded_name(image)])
        for task, (image, predictions) in made.items()
    }
    rows = [named_row(task, *made[task], counts[task], failures.get(task)) for task in made]
    wrong = _print_rows(NAMED_HEADER, rows, version)
    total = add_up(list(counts.values()))
    print(describe_named(total, corrected=len(images) - len(made)))
    return 1 if wrong or total.right < FEWEST_RIGHT * total.shown else 0


def _print_rows(header: Sequence[str], rows: Rows, version: str) -> int:
    """Print a table, and return the number of rows that say what is wrong."""
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    wrong = sum(1 for row in rows if row[-1])
    print(f"\n{len(rows) - wrong} of {len(rows)} tasks have their suggestion by {version}.")
    return wrong


def result_row(
    task: int, image: str, predictions: Sequence[Prediction], failure: str | None
) -> tuple[str, ...]:
    """Return the cells of one task; the last one says what is wrong, or is empty."""
    keypoints = sum(prediction.keypoints for prediction in predictions)
    classes = [name for prediction in predictions for name in prediction.classes]
    wrong = _not_one(predictions, failure)
    if not wrong and not keypoints:
        wrong = "expected at least one keypoint, got none"
    counts = (str(len(predictions)), str(keypoints))
    return (str(task), uploaded_name(image), *counts, ", ".join(classes), wrong)


def named_row(
    task: int,
    image: str,
    predictions: Sequence[Prediction],
    counts: NamedCounts,
    failure: str | None,
) -> tuple[str, ...]:
    """Return the cells of one task; the last one says what is wrong, or is empty."""
    wrong = _not_one(predictions, failure)
    if not wrong and not counts.shown:
        wrong = "expected named points with scores, got none"
    numbers = (len(predictions), counts.shown, counts.right)
    return (str(task), uploaded_name(image), *map(str, numbers), wrong)


def _not_one(predictions: Sequence[Prediction], failure: str | None) -> str:
    """Say why a task has not exactly one suggestion; empty if it has."""
    if len(predictions) == 1:
        return ""
    return failure or f"expected one suggestion, got {len(predictions)}"


def count_named(predictions: Sequence[Prediction], true: TrueLandmarks) -> NamedCounts:
    """Compare the named points of a drawing's suggestions with its landmarks."""
    points = [
        to_keypoint(region)
        for prediction in predictions
        for region in prediction.result
        if region.get("type") == "keypointlabels" and region.get("score") is not None
    ]
    right = [
        point
        for point in points
        if point.label in true.points
        and math.dist((point.x, point.y), true.points[point.label]) <= TOLERANCE * true.length
    ]
    scores = sum(point.score for point in points)
    return NamedCounts(len(points), len(right), scores, len(true.points))


def add_up(counts: Sequence[NamedCounts]) -> NamedCounts:
    """Return the sums over several drawings."""
    return NamedCounts(
        shown=sum(each.shown for each in counts),
        right=sum(each.right for each in counts),
        expected=sum(each.expected for each in counts),
        visible=sum(each.visible for each in counts),
    )


def describe_named(total: NamedCounts, *, corrected: int) -> str:
    """Say how many named points are right on the drawings that nobody has corrected."""
    if not total.shown:
        return f"After {corrected} corrected drawings, the others have no named points."
    share = 100 * total.right / total.shown
    return (
        f"After {corrected} corrected drawings, {total.shown} named points are suggested for the "
        f"{total.visible} visible\nlandmarks of the others, which nobody has corrected. "
        f"{total.right} of them ({share:.0f} %) are right:\nwithin {TOLERANCE:g} of the longer "
        f"side of the car's box of their landmark. By their scores,\n{total.expected:.0f} were "
        f"expected to be. The check asks for {100 * FEWEST_RIGHT:.0f} %."
    )
