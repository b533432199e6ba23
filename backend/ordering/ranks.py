"""Ranks as a field of tasks' data, by which Label Studio's Data Manager sorts."""

import re
from collections.abc import Iterable
from typing import Literal

from backend.labelstudio.client import TASKS, LabelStudio
from backend.labelstudio.schemas import BOX_FIELD, Task

# The Data Manager sorts fields as text, so each rank has the same number of digits.
DIGITS = 6
MOST_RANKS = 10**DIGITS - 1

# What became of a task: its rank was written or removed, was right already, or it was left as it
# is because someone has begun or because it was deleted.
Outcome = Literal["written", "same", "begun", "gone"]


class FieldTaken(ValueError):
    """A field cannot hold ranks; the message says why."""


def rank_text(place: int) -> str:
    """Return the rank of a task.

    Args:
        place: from 1 to `MOST_RANKS`.
    """
    if not 1 <= place <= MOST_RANKS:
        raise ValueError(f"expected a place from 1 to {MOST_RANKS}, got {place}")
    return f"{place:0{DIGITS}d}"


def is_rank(value: object) -> bool:
    """Return whether a value of a task's data is a rank."""
    return isinstance(value, str) and re.fullmatch(rf"[0-9]{{{DIGITS}}}", value) is not None


def check_field(field: str, label_config: str, tasks: Iterable[Task]) -> None:
    """Check that a field of the tasks' data holds ranks, if anything.

    Raises:
        FieldTaken: the labelling configuration or this backend reads it, its name is no word, or a
            task has something else in it.
    """
    advice = "choose another name with --field"
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", field) is None:
        raise FieldTaken(f"expected a name of letters, digits and _, got {field!r}: {advice}")
    if field == BOX_FIELD or re.search(rf"\${field}(?![A-Za-z0-9_])", label_config):
        raise FieldTaken(f"expected a field that nothing reads, got {field!r}: {advice}")
    for task in tasks:
        if field in task.data and not is_rank(task.data[field]):
            raise FieldTaken(
                f"expected only ranks of this command in the field {field!r}, but task {task.id} "
                f"has {task.data[field]!r:.100}: {advice}"
            )


class RankWriter:
    """Writes ranks into one field of a project's tasks, and touches nothing else."""

    def __init__(self, client: LabelStudio, project_id: int, field: str) -> None:
        self._client = client
        self._project_id = project_id
        self._field = field

    def write(self, task_id: int, rank: str | None) -> Outcome:
        """Give a task its rank; None removes the one it has.

        Label Studio replaces a task's data as a whole, so the data is read just before.

        Raises:
            LabelStudioError: the task cannot be read or changed.
        """
        task = self._client.task(self._project_id, task_id, fields="all")
        if task is None:
            return "gone"
        if task.data.get(self._field) == rank:
            return "same"
        # The task itself shows the drafts of the token's user alone.
        if task.annotations or self._client.get(f"{TASKS}{task_id}/drafts"):
            return "begun"
        data = {name: value for name, value in task.data.items() if name != self._field}
        if rank is not None:
            data[self._field] = rank
        self._client.change_task_data(task_id, data)
        return "written"
