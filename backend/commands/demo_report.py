"""The text that the demonstration prints when everything runs: what happened, and what to do."""

from collections.abc import Collection, Mapping, Sequence

from backend.commands.demo_corrections import CORRECTED
from backend.commands.demo_drawings import LANDMARKS
from backend.commands.demo_processes import DemoBackend
from backend.commands.demo_project import DemoProject
from backend.commands.demo_subject import Subject

_CORRECT = (
    "Drag a point that is off, delete a wrong one (Backspace), add a missing one (press its label,",
    "then the image), and press Submit.",
)
_DRAWING_OPENS = (
    'Press "Label All Tasks": the next drawing opens with named points. The list beside it gives',
    "the name of each point and its score, the probability that the point stays as it is.",
    *_CORRECT,
)
_ABOUT_PHOTOS = (
    "Each image has suggestions where its class is most evident; their label is the class, or",
    '"keypoint" if there are many classes. Nothing was corrected for you, because the landmarks of',
    "your images are unknown. For suggestions with names, make the labels of the project the names",
    "of your landmarks (Settings, Labeling Interface), and annotate three images.",
)
_PHOTO_OPENS = ('Press "Label All Tasks": the suggestions appear on the image.', *_CORRECT)


def instructions(
    project: DemoProject,
    backend: DemoBackend,
    subject: Subject,
    tasks: Collection[int],
    failures: Mapping[int, str],
) -> str:
    """Say what happened, what to open, how to log in, and what to do there.

    Args:
        tasks: those without annotation.
        failures: task id → reason, for tasks without a suggestion.
    """
    studio = project.label_studio
    happened: Sequence[str] = _ABOUT_PHOTOS
    opened: Sequence[str] = _PHOTO_OPENS
    if subject.landmarks is not None:
        happened = _about_drawings(len(project.tasks()), len(tasks))
        opened = _DRAWING_OPENS
    lines = [
        *(f"Task {task} has no suggestion: {reason}" for task, reason in failures.items()),
        "",
        *happened,
        "",
        f"Open      {project.url}",
        f"User      {studio.user}",
        f"Password  {studio.password}",
        "",
        *(opened if tasks else ("Every image is annotated.",)),
        "",
        f"Report    {backend.url}/report",
        "          how much work the suggestions saved you, or cost you; reload it as you go on",
        f"Status    {backend.url}",
        f"Log       {backend.log}",
        "",
        "Ctrl-C stops everything; the next start continues where you left off.",
    ]
    return "\n".join(f"  {line}".rstrip() for line in lines)


def _about_drawings(drawings: int, left: int) -> Sequence[str]:
    own = drawings - left - CORRECTED
    learnt = f"these {CORRECTED}" + (f" and the {own} annotated since" if own > 0 else "")
    return (
        f"The project has {drawings} drawings of cars with {len(LANDMARKS)} landmarks: "
        f'"{LANDMARKS[0]}", "{LANDMARKS[1]}" and so on.',
        f"The demonstration has annotated the first {CORRECTED} through Label Studio's API, as you "
        "would by hand;",
        "until then, no points were suggested. The backend has learnt the landmarks from",
        f"{learnt}, and suggests named points on the other {left}.",
    )
