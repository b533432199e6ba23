"""Complete an example by the image, where no prediction had said its size and class."""

from dataclasses import replace

from backend.learning.records import UNKNOWN_SIZE, Example, given_part
from model.keypoint import Box, Detection, centre_to_edge, edge_to_centre

# Browsers round, and editors may have had a smaller copy of the image.
SAME_SHAPE = 0.02  # greatest relative difference of the ratio of its sides


class OtherImage(Exception):
    """The address has another image than the annotator saw; the message says which sizes."""


def expect_same_image(example: Example, width: int, height: int) -> None:
    """Raise OtherImage unless an image of this size, px, can be the one that was annotated."""
    if example.drawn is None:
        same = (width, height) == (example.width, example.height)
    else:
        ratio = (width / height) / (example.width / example.height)
        same = example.width == UNKNOWN_SIZE or abs(ratio - 1) <= SAME_SHAPE
    if not same:
        raise OtherImage(
            f"expected an image of {example.width:g} × {example.height:g} px, as when it was "
            f"annotated, got {width} × {height}: the points would lie elsewhere on it"
        )


def scaled_box(example: Example, width: int, height: int) -> Box | None:
    """Return the box of an example on the image as it is, px."""
    across, down = width / example.width, height / example.height
    box = example.box
    return box and Box(box.left * across, box.top * down, box.width * across, box.height * down)


def completed(example: Example, detection: Detection) -> Example:
    """Return an example in pixels of the image, with the class of a detection."""
    width, height = detection.width, detection.height
    across, down = width / example.width, height / example.height
    points = {
        label: (_scaled(x, across), _scaled(y, down)) for label, (x, y) in example.points.items()
    }
    return replace(
        example,
        width=width,
        height=height,
        box=given_part(scaled_box(example, width, height), points, detection),
        class_name=detection.class_name,
        points=points,
    )


def _scaled(position: float, factor: float) -> float:
    """Scale a coordinate about the image's edge."""
    return edge_to_centre(centre_to_edge(position) * factor)
