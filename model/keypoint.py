"""Detections and the points in them. Standard library only, so that every part may import it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Position = TypeVar("Position", float, "NDArray[np.float64]")

Visibility = Literal["visible", "occluded"]

HALF_PIXEL = 0.5  # px between the edge of the image and the centre of its first pixel


@dataclass(frozen=True, slots=True)
class Keypoint:
    """A point on an image.

    `x` right, `y` down, px of the upright original image; (0, 0) is the centre of its first pixel,
    so that the image reaches from -0.5 to its width - 0.5.
    """

    x: float
    y: float
    score: float  # in [0, 1]
    label: str


@dataclass(frozen=True, slots=True)
class NamedKeypoint(Keypoint):
    """A landmark, known by its label; `score` is the probability that it is right.

    Right means on the image, and within the tolerance of where an annotator would put it. So it is
    at most `visible_probability`.

    Attributes:
        visible_probability: of being on the image, in [0, 1].
        visibility: what annotators usually choose for the label; None where that is not known.
    """

    visible_probability: float
    visibility: Visibility | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the upright original image, px; (0, 0) is the image's top left *corner*.

    A box of the whole image is `Box(0, 0, width, height)`.
    """

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Detection:
    """The detector's result for one image.

    Attributes:
        class_name: the predicted class, on whose evidence the keypoints rest.
        probability: probability of that class, in [0, 1].
        keypoints: best first; those of `candidates` that the detector's settings show.
        width, height: size of the upright original image, px.
        box: the part of the image that was searched.
        named: the landmarks that corrected images teach to find, also those that are improbable.
        maps: name → array (h, w) over `box` at the network's input size: "coarse", "fine", "fused".
        captions: "coarse" and "fine" → name of the map in plain words, such as "class activation".
            Empty if unknown.
        candidates: every peak, best first. Empty if unknown.
    """

    class_name: str
    probability: float
    keypoints: tuple[Keypoint, ...]
    width: int
    height: int
    box: Box
    named: tuple[NamedKeypoint, ...] = ()
    maps: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    captions: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    candidates: tuple[Keypoint, ...] = field(default=(), repr=False, compare=False)


def select_best(
    candidates: Sequence[Keypoint],
    *,
    keep: float = 1.0,
    max_keypoints: int | None = None,
    min_score: float = 0.0,
) -> tuple[Keypoint, ...]:
    """Return the candidates to show; see the settings of these names in `model.settings`.

    Args:
        candidates: best first.
    """
    best = candidates[: math.ceil(keep * len(candidates))][:max_keypoints]
    return tuple(point for point in best if point.score >= min_score)


def centre_to_edge(position: Position) -> Position:
    """Count from the image's left or top edge, as Label Studio, COCO and most data sets do.

    Args:
        position: px, 0 at the centre of the first pixel; a number or an array.

    >>> centre_to_edge(0.0)
    0.5
    """
    return position + HALF_PIXEL


def edge_to_centre(position: Position) -> Position:
    """Count from the centre of the first pixel, as a `Keypoint` does; inverse of `centre_to_edge`.

    >>> edge_to_centre(0.5)
    0.0
    """
    return position - HALF_PIXEL
