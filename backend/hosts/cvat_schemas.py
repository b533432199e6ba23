"""The JSON that CVAT's API sends: tasks, labels, jobs, frames and annotations.

As in `labelstudio.schemas`: strict about what the backend relies on, tolerant of everything else.
"""

from pydantic import Field

from backend.labelstudio.shapes import (
    Count,
    Flag,
    Id,
    IdOrObject,
    Json,
    JsonList,
    Moment,
    Name,
    OrEmpty,
    OrNone,
    Shape,
    Text,
)


class About(Shape):
    """What a server says about itself."""

    version: Text = Field(description="a version such as 2.80.0")


class User(Shape):
    """A person who works with CVAT."""

    username: Name = Field(description="text")


class Page(Shape):
    """A page of a list.

    Attributes:
        results: raw.
        next: address of the next page; None on the last one.
    """

    results: JsonList = Field(description="a list")
    next: OrNone[Text] = None


class Task(Shape):
    """A task: a number of frames, each an image.

    Attributes:
        project_id: of the project that it belongs to; None for a task of its own.
        organization: id of the organization that it belongs to; None for a personal task.
        size: number of frames.
        mode: `annotation` for images, `interpolation` for a video.
        dimension: `2d`, or `3d` for point clouds.
    """

    id: Id = Field(description="a whole number")
    project_id: OrNone[Id] = None
    organization: OrNone[Id] = None
    name: OrNone[Text] = None
    size: OrNone[Count] = None
    mode: OrNone[Text] = None
    dimension: OrNone[Text] = None
    data_original_chunk_type: OrNone[Text] = None


class Sublabel(Shape):
    """A label within a skeleton."""

    id: Id = Field(description="a whole number")
    name: Name = Field(description="text")


class Label(Sublabel):
    """A label of a task or of its project.

    Attributes:
        type: `points`, `skeleton`, `any`, or that of another kind of shape.
        has_parent: whether it is listed although it belongs to a skeleton.
    """

    type: Text = "any"
    sublabels: OrEmpty[list[Sublabel]] = Field(default_factory=list)
    has_parent: Flag = False


class Frame(Shape):
    """A frame of a task; px."""

    name: OrNone[Text] = None
    width: Count = Field(description="a number of pixels")
    height: Count = Field(description="a number of pixels")


class DataMeta(Shape):
    """The frames of a task, in their order."""

    frames: list[Frame] = Field(description="a list of frames with width and height")
    deleted_frames: OrEmpty[list[Count]] = Field(default_factory=list)


class Job(Shape):
    """A part of a task that one annotator works on.

    Attributes:
        type: `annotation`, or `ground_truth` or `replica`, which are no work on suggestions.
        assignee: id of the annotator.
        start_frame, stop_frame: the first and the last of its frames.
    """

    id: Id = Field(description="a whole number")
    type: Text = "annotation"
    stage: Text = "annotation"
    state: Text = "new"
    assignee: OrNone[IdOrObject] = None
    start_frame: Count = Field(description="the number of a frame")
    stop_frame: Count = Field(description="the number of a frame")
    updated_date: Moment = Field(description="a time such as 2026-11-22T12:00:00Z")

    @property
    def is_done(self) -> bool:
        """Whether its annotator has finished: what was left as it was is then accepted."""
        return self.state == "completed" or self.stage != "annotation"


class Element(Shape):
    """A shape, or a part of a skeleton.

    Attributes:
        type: `points`, `skeleton` or another kind.
        points: x and y of each point in turn, px; (0, 0) is the image's top left corner.
        source: `auto` as a program made it, `semi-auto` once a person changed it, else `manual`.
        outside: whether it is absent.
        score: of the program that made it.
    """

    id: Id = Field(description="a whole number")
    type: Text = Field(description="a kind of shape")
    label_id: Id = Field(description="the id of a label")
    frame: Count = Field(description="the number of a frame")
    points: OrEmpty[list[float]] = Field(default_factory=list)
    source: Text = "manual"
    outside: Flag = False


class CvatShape(Element):
    """A shape of a frame; a skeleton has elements."""

    elements: OrEmpty[list[Element]] = Field(default_factory=list)


class Annotations(Shape):
    """The annotations of a job; tags and intervals are not needed.

    Attributes:
        shapes, tracks: raw.
    """

    shapes: list[Json] = Field(description="a list of shapes")
    tracks: OrEmpty[list[Json]] = Field(default_factory=list)
