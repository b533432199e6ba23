"""The text that the demonstration prints: results and instructions."""

from collections.abc import Mapping, Sequence

from backend.commands.demo_processes import DemoBackend
from backend.commands.demo_project import DemoProject, uploaded_name
from backend.labelstudio.schemas import Prediction

HEADER = ("task", "image", "suggestions", "keypoints", "class", "")


def print_results(project: DemoProject, version: str, failures: Mapping[int, str]) -> int:
    """Print a table of the tasks and their suggestions.

    Returns:
        0 if every task has one suggestion with at least one keypoint, else 1.
    """
    found = project.predictions(version)
    rows = [
        result_row(task, image, found.get(task, []), failures.get(task))
        for task, image in sorted(project.tasks().items())
    ]
    table = [HEADER, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADER))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    wrong = sum(1 for row in rows if row[-1])
    print(f"\n{len(rows) - wrong} of {len(rows)} tasks have their suggestion by {version}.")
    return 1 if wrong else 0


def result_row(
    task: int, image: str, predictions: Sequence[Prediction], failure: str | None
) -> tuple[str, ...]:
    """Return the cells of one task; the last one says what is wrong, or is empty."""
    keypoints = sum(prediction.keypoints for prediction in predictions)
    classes = [name for prediction in predictions for name in prediction.classes]
    wrong = ""
    if len(predictions) != 1:
        wrong = failure or f"expected one suggestion, got {len(predictions)}"
    elif not keypoints:
        wrong = "expected at least one keypoint, got none"
    counts = (str(len(predictions)), str(keypoints))
    return (str(task), uploaded_name(image), *counts, ", ".join(classes), wrong)


def instructions(project: DemoProject, backend: DemoBackend, failures: Mapping[int, str]) -> str:
    """Return what to open, how to log in, and what to do there."""
    studio = project.label_studio
    failed = [f"  Task {task} has no suggestion: {reason}" for task, reason in failures.items()]
    return "\n".join(
        [
            *failed,
            "",
            f"  Open      {project.url}",
            f"  User      {studio.user}",
            f"  Password  {studio.password}",
            "",
            '  Press "Label All Tasks": the suggestions appear on the image. Drag a point that is',
            "  off, delete a wrong one (Backspace), add a missing one with a label, then Submit.",
            "",
            f"  Backend   {backend.url} (its log: {backend.log})",
            "  Ctrl-C stops everything; the next start continues where you left off.",
        ]
    )
