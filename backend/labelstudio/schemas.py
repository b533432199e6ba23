"""The JSON that Label Studio sends: projects, tasks, annotations and the bodies of its requests.

This is the one place that checks their shape. Strict about what the backend relies on, tolerant of
everything else: unknown fields are ignored, optional fields that are malformed count as missing,
and malformed members of a list are skipped. Regions stay raw JSON, because each labelling tool has
its own kind.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, TypedDict

from pydantic import Field, OnErrorOmit, TypeAdapter, ValidationError

from backend.labelstudio.shapes import (
    Action,
    Count,
    Flag,
    Id,
    IdOrObject,
    Json,
    JsonList,
    Moment,
    OneOrMany,
    OnError,
    OrEmpty,
    OrNone,
    ProjectUid,
    Seconds,
    Shape,
    Text,
    TextOrNull,
    WebAddress,
    read,
    read_each,
)
from backend.labelstudio.task_values import value_at

# Field of a task's data: {"x": 10, "y": 20, "width": 50, "height": 60}, percent of the image, or a
# list of such boxes.
BOX_FIELD = "box"
POINTS = ("keypointlabels", "keypoint")

_NON_EMPTY_TEXT = TypeAdapter[str](Annotated[Text, Field(min_length=1)])


def _true() -> bool:
    return True


class EventProject(Shape):
    """A project as an event names it; any part of it may be missing."""

    id: OrNone[Id] = None
    created_at: OrNone[Moment] = None
    label_config: OrNone[Text] = None

    @property
    def uid(self) -> str | None:
        """`Project.uid`; None if id or time of creation are missing."""
        if self.id is None or self.created_at is None:
            return None
        return _uid(self.id, self.created_at)


class Project(Shape):
    """A project, as the API sends it.

    Attributes:
        label_config: labelling configuration, as XML.
        task_number: number of its tasks.
        show_collab_predictions: whether annotators see suggestions.
    """

    id: Id = Field(description="a whole number")
    created_at: Moment = Field(description="a time such as 2026-11-22T12:00:00Z")
    label_config: TextOrNull = Field(description="text")
    title: Annotated[Text, OnError(str)] = ""
    task_number: OrNone[Count] = None
    show_collab_predictions: Annotated[bool, Field(strict=True), OnError(_true)] = True

    @property
    def uid(self) -> str:
        """`id.created_ts`, as Label Studio names the project to its backends."""
        return _uid(self.id, self.created_at)


def _uid(project_id: int, created_at: datetime) -> str:
    return f"{project_id}.{int(created_at.timestamp())}"


class Drawing(Shape):
    """A draft or an annotation, as part of a task.

    Attributes:
        result: regions, raw.
        updated_at: raw, for sorting alone.
    """

    result: list[Json]
    was_cancelled: Flag = False
    updated_at: Any = None

    @property
    def has_points(self) -> bool:
        """Whether it has a keypoint or a skeleton."""
        return any(region.get("type") in (*POINTS, "vectorlabels") for region in self.result)

    def box_json(self) -> Json:
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
    predictions: OrEmpty[list[OnErrorOmit[Drawing]]] = Field(default_factory=list)

    def box_json(self) -> Json:
        """Return the JSON from which `read(BoxSources, ...)` finds the same boxes again."""
        found: Json = {
            "drafts": [each.box_json() for each in self.drafts],
            "annotations": [each.box_json() for each in self.annotations],
        }
        predictions = [each.box_json() for each in self.predictions if not each.has_points]
        if predictions:
            found["predictions"] = predictions
        if BOX_FIELD in self.data:
            found["data"] = {BOX_FIELD: self.data[BOX_FIELD]}
        return found


class Task(Shape):
    """A task, as /predict and the API send it.

    Members of its lists are read when they are asked for: a page of tasks holds many regions, and
    each caller needs few of them.

    Attributes:
        data, drafts, annotations, predictions: raw.
    """

    id: Id = Field(description="a whole number")
    data: Annotated[Json, OnError(dict)] = Field(default_factory=dict)
    drafts: OrEmpty[JsonList] = Field(default_factory=list)
    annotations: OneOrMany = Field(default_factory=list)
    predictions: OneOrMany = Field(default_factory=list)

    def image_url(self, path: str) -> str | None:
        """Return the text that a path in the task's data leads to; None if there is none."""
        try:
            return _NON_EMPTY_TEXT.validate_python(value_at(self.data, path))
        except ValidationError:
            return None

    def box_sources(self) -> BoxSources:
        """Return the parts that may say which part of the image to look at."""
        names = ("data", "drafts", "annotations", "predictions")
        return read(BoxSources, {name: getattr(self, name) for name in names})

    def drawings(self) -> list[Drawing]:
        """Return the annotations, without malformed ones."""
        return read_each(Drawing, self.annotations)

    def raw_annotations(self) -> Iterator[Json]:
        """Yield each annotation, raw, with the id of its task as in an event."""
        for annotation in self.annotations:
            if isinstance(annotation, dict):
                yield {**annotation, "task": annotation.get("task", self.id)}

    def has_prediction_of(self, model_version: str) -> bool:
        """Return whether a model version has predicted this task."""
        found = read_each(Prediction, self.predictions)
        return any(each.model_version == model_version for each in found)


class PredictionJson(TypedDict):
    """A prediction in the form that Label Studio takes.

    Attributes:
        result: regions, raw.
        score: probability of the class, or what `Presentation.as_sent` says; None if unknown.
    """

    result: list[Json]
    score: float | None
    model_version: str | None


class Prediction(Shape):
    """A prediction, as the API sends it.

    Attributes:
        task: id of its task.
        result: regions, raw.
    """

    id: Id = Field(description="a whole number")
    task: OrNone[Id] = None
    result: OrEmpty[list[OnErrorOmit[Json]]] = Field(default_factory=list)
    score: OrNone[Annotated[float, Field(strict=True)]] = None
    model_version: OrNone[Text] = None

    @property
    def keypoints(self) -> int:
        """Number of keypoints."""
        return sum(region.get("type") == "keypointlabels" for region in self.result)

    @property
    def classes(self) -> list[str]:
        """Class of the whole image, if one was suggested."""
        choices = [region for region in self.result if region.get("type") == "choices"]
        return [name for each in read_each(ChoicesRegion, choices) for name in each.value.choices]

    def as_json(self) -> PredictionJson:
        """Return the prediction in the form that Label Studio takes."""
        return {"result": self.result, "score": self.score, "model_version": self.model_version}


class TaskReference(Shape):
    """Anything that may name its task, such as an annotation without an id."""

    task: OrNone[Id] = None


class Annotation(Shape):
    """A submitted or skipped annotation.

    Attributes:
        completed_by: id of the annotator, its author.
        updated_by: id of whoever saved it last.
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
    updated_by: OrNone[IdOrObject] = None
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
    """Body of POST /setup.

    Attributes:
        extra_params: raw; see `project_settings.read_extra_params`.
    """

    project: ProjectUid = Field(description="text such as 3.1795347724, id and time of creation")
    label_config: Text | None = Field(None, alias="schema", description="text")
    hostname: WebAddress = Field(None, description="an address such as http://localhost:8080")
    access_token: Text | None = Field(None, description="text", repr=False)
    extra_params: Any = None

    @property
    def has_extra_params(self) -> bool:
        """Whether the request says which extra params there are, even if there are none."""
        return "extra_params" in self.model_fields_set


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
    def context(self) -> Json | None:
        """What an annotator is drawing, raw; None in an ordinary request."""
        return self.params.context if self.params else None


class EventBody(Shape):
    """Body of POST /webhook, as it is stored."""

    project: OrNone[EventProject] = None


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


def without_token(body: Json) -> Json:
    """Return a webhook's body without the project's token, which lets its holder join."""
    project = body.get("project")
    if not isinstance(project, dict):
        return dict(body)
    kept = {name: value for name, value in project.items() if name != "token"}
    return {**body, "project": kept}
