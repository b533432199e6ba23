"""Repeatability: which points are found again on a changed copy of the image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.keypoint import HALF_PIXEL, Box, centre_to_edge, edge_to_centre
from studies.evaluation.datasets import Annotated
from studies.evaluation.metrics import repeated_share
from studies.evaluation.rankings import Points
from studies.evaluation.rows import BUDGET, inside

RADIUS = 0.02  # of the longer side of the box
JPEG_QUALITY = 50


@dataclass(frozen=True, eq=False)
class Changed:
    """A changed copy of an image.

    Attributes:
        matrix: (2, 3), maps a position on the original to one on the copy, px; (0, 0) is the centre
            of the first pixel on both.
        box: box around the object on the copy.
    """

    picture: NDArray[np.uint8]
    matrix: NDArray[np.float64]
    box: Box

    def back(self, points: Points) -> Points:
        """Map points (N, 2) of the copy to the original."""
        inverse = cv2.invertAffineTransform(self.matrix)
        return np.asarray(points @ inverse[:, :2].T + inverse[:, 2])


def changes(picture: NDArray[np.uint8], box: Box) -> Mapping[str, Changed]:
    """Return copies: mirrored, rotated by ±15°, at 0.8 and 1.25 of the size, and as a poor JPEG."""
    height, width = picture.shape[:2]
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrices = {
        "flip": (np.array([[-1.0, 0, width - 1], [0, 1, 0]]), (width, height)),
        "rotation -15°": (cv2.getRotationMatrix2D(middle, -15, 1), (width, height)),
        "rotation +15°": (cv2.getRotationMatrix2D(middle, 15, 1), (width, height)),
        "scale 0.8": _scaling(width, height, 0.8),
        "scale 1.25": _scaling(width, height, 1.25),
    }
    copies = {
        name: Changed(
            np.asarray(
                cv2.warpAffine(
                    picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
                ),
                np.uint8,
            ),
            matrix,
            _moved(box, matrix),
        )
        for name, (matrix, size) in matrices.items()
    }
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    poor = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    copies["JPEG"] = Changed(poor, np.eye(2, 3), box)
    return copies


def _scaling(width: int, height: int, factor: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Return the matrix of a scaling about the image's corner, and the size of the result."""
    shift = edge_to_centre(factor * HALF_PIXEL)  # where the first pixel's centre moves
    matrix = np.array([[factor, 0, shift], [0, factor, shift]])
    return matrix, (round(width * factor), round(height * factor))


def _moved(box: Box, matrix: NDArray[np.float64]) -> Box:
    """Return the upright box around a transformed box."""
    left, top, right, bottom = box.left, box.top, box.left + box.width, box.top + box.height
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
    moved = centre_to_edge(edge_to_centre(corners) @ matrix[:, :2].T + matrix[:, 2])
    (left, top), (right, bottom) = moved.min(axis=0).tolist(), moved.max(axis=0).tolist()
    return Box(left, top, right - left, bottom - top)


def repeatability(
    image: Annotated,
    picture: NDArray[np.uint8],
    find: Callable[[NDArray[np.uint8], Box], Mapping[str, Points]],
) -> Mapping[str, float]:
    """Compute which share of each method's points is found again, averaged over the copies.

    Args:
        find: (picture, box of the object) → the best points of each method.

    Returns:
        Method → share. Points of the original that lie outside the copy do not count, nor do points
        of the copy that lie outside the box on the original.
    """
    first = find(picture, image.box)
    shares: dict[str, list[float]] = {name: [] for name in first}
    for changed in changes(picture, image.box).values():
        height, width = changed.picture.shape[:2]
        for name, points in find(changed.picture, changed.box).items():
            shown = first[name] @ changed.matrix[:, :2].T + changed.matrix[:, 2]
            seen = first[name][inside(shown, Box(0, 0, width, height))]
            again = changed.back(points)
            again = again[inside(again, image.box)]
            slots = max(1, min(BUDGET, len(seen)))
            shares[name].append(repeated_share(seen, again, RADIUS * image.length, slots))
    return {name: float(np.mean(values)) for name, values in shares.items()}
