"""Lists of tasks: the queries of Label Studio's data manager, and the pages of its answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import Count, Id, JsonList, Shape, ShapeError, read_each


class ListedTasks(Shape):
    """An answer to a query.

    Attributes:
        tasks: raw, so that a malformed task does not hide the others.
        total: number of tasks that meet the query, also those that are not in the answer.
    """

    tasks: JsonList = Field(description="a list of tasks")
    total: Count = Field(description="the number of tasks")

    def last_id(self, after: int) -> int:
        """Return the last id of the answer, or `after` if there is none.

        Raises:
            ShapeError: an id is not above `after`.
        """
        ids = [each.id for each in read_each(_Identified, self.tasks)]
        if any(each <= after for each in ids):
            raise ShapeError(f"expected tasks with ids above {after}, got {min(ids)}")
        return max(ids, default=after)


class _Identified(Shape):
    id: Id = Field(description="a whole number")


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some tasks of a project, by id.

    Attributes:
        tasks: without those that are malformed.
        last_id: of the tasks, or of those before them if there are none; all up to it are known.
        is_last: whether there were no more when it was fetched.
    """

    tasks: list[Task]
    last_id: int
    is_last: bool


def condition(column: str, operator: str, value: int) -> dict[str, object]:
    """Return the condition that a number of a task is `equal`, `greater` and so on."""
    name = f"filter:tasks:{column}"
    return {"filter": name, "operator": operator, "type": "Number", "value": value}


def by_id(*conditions: Mapping[str, object]) -> str:
    """Return the query for the tasks that meet all conditions, in the order of their ids."""
    filters = {"conjunction": "and", "items": list(conditions)}
    return json.dumps({"filters": filters, "ordering": ["tasks:id"]})
