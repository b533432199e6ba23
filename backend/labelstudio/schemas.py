"""The JSON that Label Studio sends: projects, tasks, annotations and the bodies of its requests.

This is the one place that checks their shape. Strict about what the backend relies on, tolerant of
everything else: unknown fields are ignored, optional fields that are malformed count as missing,
and malformed members of a list are skipped. Regions stay raw JSON, because each labelling tool has
its own kind.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, OnErrorOmit, TypeAdapter, ValidationError

from backend.labelstudio.shapes import (
    Action,
    Flag,
    Id,
    IdOrObject,
    Json,
    JsonList,
    Moment,
    OnError,
    OrEmpty,
    OrNone,
    ProjectUid,
    Seconds,
    Shape,
    Text,
    WebAddress,
    one_or_many,
    read,
)

# Field of a task's data: {"x": 10, "y": 20, "width": 50, "height": 60}, percent of the image.
BOX_FIELD = "box"

_NON_EMPTY_TEXT = TypeAdapter[str](Annotated[Text, Field(min_length=1)])


class Project(Shape):
    """A project, as webhooks and the API send it."""

    id: OrNone[Id] = None
    created_at: OrNone[Moment] = None
    label_config: OrNone[Text] = None

    @property
    def uid(self) -> str | None:
        """`id.created_ts`, as Label Studio names the project to its backends; None if unknown."""
        if self.id is None or self.created_at is None:
            return None
        return f"{self.id}.{int(self.created_at.timestamp())}"


class Drawing(Shape):
    """A draft or an annotation, as part of a task.

    Attributes:
        result: regions, raw.
        updated_at: raw, for sorting alone.
    """

    result: list[Json]
    was_cancelled: Flag = False
    updated_at: Any = None

    def box_json(self) -> dict[str, Any]:
        """Return the fields that were sent and that finding a box needs."""
        names = self.model_fields_set & {"result", "updated_at"}
        return {name: getattr(self, name) for name in sorted(names)}


class BoxSources(Shape):
    """The parts of a task that may say which part of the image to look at.

    Attributes:
        data: data of the task, raw.
    """

    data: Annotated[Json, OnError(dict)] = Field(default_factory=dict)
    drafts: OrEmpty[list[OnErrorOmit[Drawing]]] = Field(default_factory=list)
    annotations: OrEmpty[list[OnErrorOmit[Drawing]]] = Field(default_factory=list)

    def box_json(self) -> dict[str, Any]:
        """Return the JSON from which `read(BoxSources, ...)` finds the same box again."""
        found: dict[str, Any] = {
            "drafts": [each.box_json() for each in self.drafts],
            "annotations": [each.box_json() for each in self.annotations],
        }
        if BOX_FIELD in self.data:
            found["data"] = {BOX_FIELD: self.data[BOX_FIELD]}
        return found


class Task(BoxSources):
    """A task, as /predict and the API send it."""

    id: Id = Field(description="a whole number")

    def image_url(self, field: str) -> str | None:
        """Return the text in a field of the task's data; None if there is none."""
        try:
            return _NON_EMPTY_TEXT.validate_python(self.data.get(field))
        except ValidationError:
            return None


class ListedTask(Shape):
    """A task in the API's list, of which only the annotations count.

    Attributes:
        id: raw.
        annotations: raw.
    """

    id: Any = None
    annotations: Annotated[list[OnErrorOmit[Json]], BeforeValidator(one_or_many)] = Field(
        default_factory=list
    )

    def full_annotations(self) -> Iterator[dict[str, Any]]:
        """Yield each annotation, raw, with the id of its task as in an event."""
        for annotation in self.annotations:
            yield {**annotation, "task": annotation.get("task", self.id)}


class TaskReference(Shape):
    """Anything that may name its task, such as an annotation without an id."""

    task: OrNone[Id] = None


class Annotation(Shape):
    """A submitted or skipped annotation.

    Attributes:
        completed_by: id of the annotator.
        lead_time: s.
        parent_prediction: id of the prediction that the annotation began as.
        result: regions, raw; None if it is not a list.
    """

    id: Id = Field(description="a whole number")
    task: Id = Field(description="the id of a task")
    created_at: OrNone[Moment] = None
    updated_at: OrNone[Moment] = None
    was_cancelled: Flag = False
    completed_by: OrNone[IdOrObject] = None
    lead_time: OrNone[Seconds] = None
    parent_prediction: OrNone[Id] = None
    result: OrNone[JsonList] = None


class _ChosenValue(Shape):
    choices: OrEmpty[list[OnErrorOmit[Annotated[str, Field(strict=True)]]]] = Field(
        default_factory=list
    )


class ChoicesRegion(Shape):
    """A region of a `Choices` control; of other regions, one without choices."""

    from_name: Any = None
    value: Annotated[_ChosenValue, OnError(_ChosenValue)] = _ChosenValue()


# Requests


class SetupRequest(Shape):
    """Body of POST /setup."""

    project: ProjectUid = Field(description="text such as 3.1795347724, id and time of creation")
    label_config: Text | None = Field(None, alias="schema", description="text")
    hostname: WebAddress = Field(None, description="an address such as http://localhost:8080")
    access_token: Text | None = Field(None, description="text", repr=False)


class _Parameters(Shape):
    context: OrNone[Json] = None


class PredictRequest(Shape):
    """Body of POST /predict.

    Attributes:
        tasks: raw, so that a malformed task keeps its place among the others.
    """

    tasks: JsonList = Field(description="a list of tasks")
    project: ProjectUid = Field(description="text such as 3.1795347724, id and time of creation")
    label_config: Text | None = Field(None, description="text")
    params: OrNone[_Parameters] = None

    @property
    def context(self) -> Mapping[str, Any] | None:
        """What an annotator is drawing, raw; None in an ordinary request."""
        return self.params.context if self.params else None


class EventBody(Shape):
    """Body of POST /webhook, as it is stored."""

    project: OrNone[Project] = None


class WebhookEvent(EventBody):
    """Body of POST /webhook, as it arrives."""

    action: Action = Field(description="text such as ANNOTATION_CREATED")


class _Deletion(Shape):
    ids: list[IdOrObject] = Field(min_length=1, description="the ids of what was deleted")


def deleted_ids(deleted: list[Any]) -> list[int]:
    """Return the ids of what a deletion lists, each a number or an object with an `id`.

    Raises:
        ShapeError: the list is empty, or an id is missing or malformed.
    """
    return read(_Deletion, {"ids": deleted}).ids


def without_token(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a webhook's body without the project's token, which lets its holder join."""
    project = body.get("project")
    if not isinstance(project, dict):
        return dict(body)
    kept = {name: value for name, value in project.items() if name != "token"}
    return {**body, "project": kept}
