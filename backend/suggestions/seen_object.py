"""An object that an annotator points at, with what the network saw of it kept between answers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from backend.learning.looks import Looks, look_closely
from model.keypoint import Box, Detection
from model.naming.features import ExampleFeatures, FeatureExtractor
from model.naming.whole_image import coarsened

# Every point that is placed moves the box of the object a little. The part that was described last
# serves for boxes that share this much of their union with its own.
SAME_PART = 0.7


class SeenObject:
    """Looks at an object, and fetches its picture only where it has not been looked at.

    Args:
        fetch: returns the picture, (H, W, 3), RGB, upright.
        picture: the same, kept until `let_go`.
        detection: on the same picture; its size is that of the picture.
        rectangle, searched: see `Looks`.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        fetch: Callable[[], NDArray[np.uint8]],
        picture: NDArray[np.uint8],
        detection: Detection,
        rectangle: Box | None,
        searched: Box | None,
    ) -> None:
        self._extractor, self._fetch, self.detection = extractor, fetch, detection
        self.looks = Looks(rectangle, searched, self._see_whole, self._see_part)
        self._picture: NDArray[np.uint8] | None = picture
        self._whole: ExampleFeatures | None = None
        self._part: tuple[Box | None, ExampleFeatures] | None = None

    def let_go(self) -> None:
        """Keep features alone: the picture may be large."""
        self._picture = None

    def _see_whole(self) -> ExampleFeatures:
        if self._whole is None:
            self._whole = coarsened(self._extractor.extract(self._look(), None))
        return self._whole

    def _see_part(self, box: Box | None) -> ExampleFeatures:
        if self._part is None or not _is_same_part(self._part[0], box):
            self._part = (box, look_closely(self._extractor, self._look(), box))
        return self._part[1]

    def _look(self) -> NDArray[np.uint8]:
        if self._picture is None:
            self._picture = self._fetch()
        return self._picture


def _is_same_part(one: Box | None, other: Box | None) -> bool:
    if one is None or other is None:
        return one is other
    across, down = (
        max(0.0, min(start + size, other_start + other_size) - max(start, other_start))
        for start, size, other_start, other_size in (
            (one.left, one.width, other.left, other.width),
            (one.top, one.height, other.top, other.height),
        )
    )
    shared = across * down
    union = one.width * one.height + other.width * other.height - shared
    return shared >= SAME_PART * union
