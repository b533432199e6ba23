"""Examples and steps, as the rest of the program sees their rows."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal

from model.keypoint import Box, Detection, Visibility
from model.naming.object_box import object_box

# Waits for its features, has them, cannot get them, has given them up for more telling ones, or was
# not looked at because others tell more.
Status = Literal["waiting", "ready", "failed", "spare", "reserve"]

WHOLE_IMAGE = -1  # the place of an object without a rectangle; see `object_number`
OBJECTS_OF_IMAGE = 2**16  # more than anybody draws on one
UNKNOWN_SIZE = 1.0  # width and height, px, of an image of which nothing is known yet


@dataclass(frozen=True, slots=True)
class Lesson:
    """What an annotation says about one object: where its named points are.

    Attributes:
        object: its number in the annotation; see `object_number`.
        width, height: of the upright image, px.
        box: the object's rectangle, px; see `given_part` where there is none.
        class_name: predicted class of the image.
        points: label → (x, y), px; (0, 0) is the centre of the first pixel.
        absent: labels that the annotator could have used for this object, and did not.
        drawn: digest of what was drawn, where no prediction tells size and class of the image:
            the learning job completes it (`first_look`). None where one does.
        visibility: label → what a choice about its point says, where something was chosen.
    """

    object: int
    task_id: int
    image_url: str
    width: float
    height: float
    box: Box | None
    class_name: str
    points: Mapping[str, tuple[float, float]]
    absent: Sequence[str]
    drawn: str | None
    visibility: Mapping[str, Visibility] = field(default_factory=dict, kw_only=True)

    @property
    def has_rectangle(self) -> bool:
        """Whether it is about an object with a rectangle."""
        return self.object > WHOLE_IMAGE

    @property
    def digest(self) -> str:
        """Digest of everything that a fit depends on."""
        facts: list[object] = [
            self.image_url,
            None if self.box is None else asdict(self.box),
            self.class_name,
            dict(self.points),
            sorted(self.absent),
        ]
        if self.visibility:
            facts.append(dict(self.visibility))
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Example(Lesson):
    """A row of the table of examples, without the features."""

    id: int
    project_uid: str
    annotation_id: int
    status: Status
    reason: str | None
    round: int
    attempts: int
    key: str | None


@dataclass(frozen=True, slots=True)
class Described:
    """What the network sees in an example's image; each is what `ExampleFeatures.to_bytes` returns.

    Attributes:
        close: of the object's rectangle; without one, of the part where the object was found.
        whole: of the whole image, coarsened, from which is learnt to find the object; None where
            the object has a rectangle.
    """

    close: bytes
    whole: bytes | None = None


@dataclass(frozen=True, slots=True)
class LearntExample:
    """A row of the table of examples that is part of a step."""

    example: Example
    described: Described


@dataclass(frozen=True, slots=True)
class Step:
    """What the suggestions of a project know with one of the models.

    Attributes:
        base_version: version of that model.
        key: which backbone made the features.
        images: number of images learnt, also of those that are spare.
        name: `IMAGES-DIGEST`; empty if nothing is learnt.
        members: (id, digest) of the examples that a fit uses, sorted.
        costs: seconds of actions, as far as the project's lead times tell them; see `worth.Costs`.
        tolerance: of the project's own settings; None for the standard one.
    """

    id: int
    project_uid: str
    base_version: str
    key: str
    images: int
    name: str
    members: tuple[tuple[int, str], ...]
    costs: Mapping[str, float]
    tolerance: float | None
    made_at: datetime

    @property
    def version(self) -> str:
        """Version of the suggestions: that of the model, and what was learnt."""
        return version_of(self.base_version, self.name)


@dataclass(frozen=True, slots=True)
class LearningStatus:
    """How far the learning of a project is.

    Attributes:
        learnt, waiting, failed: numbers of images.
        reserve: number of images that are not looked at, because others tell more.
        failures: reason → number of images.
        in_use: number of images that the current suggestions know.
        costs, tolerance: by which these suggestions are judged; see `Step`.
        version: of these suggestions.
    """

    project_uid: str
    learnt: int = 0
    waiting: int = 0
    failed: int = 0
    reserve: int = 0
    failures: Mapping[str, int] | None = None
    in_use: int = 0
    costs: Mapping[str, float] | None = None
    tolerance: float | None = None
    version: str = ""


def object_number(place: int, image_number: int) -> int:
    """Return a number for an object that no other object of its annotation has.

    Args:
        place: of its rectangle among those on the image; `WHOLE_IMAGE` without one. The number is
            negative then, else not.
        image_number: which image of the task it is on, from 0.
    """
    if place == WHOLE_IMAGE:
        return WHOLE_IMAGE - image_number
    return image_number * OBJECTS_OF_IMAGE + place


def searched_part(detection: Detection) -> Box | None:
    """Return the part of the image that the detector searched; None for all of it."""
    box = detection.box
    covers_all = box.width >= detection.width and box.height >= detection.height
    return None if covers_all else box


def given_part(
    box: Box | None, points: Mapping[str, tuple[float, float]], detection: Detection
) -> Box | None:
    """Return the part of the image to look at; None if the object is to be found in it.

    Args:
        box: the rectangle around the object; None without one.
        points: of the object. A single one has no extent by which to learn where objects are, so
            its surroundings are the part that the detector searched.
    """
    has_extent = object_box(list(points.values())) is not None
    return box if box or has_extent else searched_part(detection)


SEPARATOR = "+"  # occurs in no version of a model


def version_of(base_version: str, step_name: str) -> str:
    """Return the version of suggestions made by a model with what a step has learnt."""
    return f"{base_version}{SEPARATOR}{step_name}" if step_name else base_version


def base_of(version: str) -> str:
    """Return the version of the model; inverse of `version_of`."""
    return version.partition(SEPARATOR)[0]


def images_of(version: str) -> int:
    """Return how many images were learnt for a version of suggestions; 0 for a model's own."""
    number = version.partition(SEPARATOR)[2].partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() else 0
