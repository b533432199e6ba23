"""What the network sees of an object on an image.

Without a rectangle the image is looked at twice: first all of it, to find the object by what the
project has learnt, and then the part around it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.learning.records import Described
from model.keypoint import Box
from model.naming.features import ExampleFeatures, FeatureExtractor
from model.naming.learner import NamingModel
from model.naming.object_box import object_box
from model.naming.whole_image import coarsened, found_box


@dataclass(frozen=True)
class Looks:
    """An object on an image, and how to look at it.

    Attributes:
        rectangle: around the object, px; None if there is none.
        searched: the part that the class evidence points to, px; None for the whole image. It is
            looked at where there is no rectangle and the object cannot be found.
        whole: returns the coarsened features of the whole image.
        part: returns the features of a part of it.
    """

    rectangle: Box | None
    searched: Box | None
    whole: Callable[[], ExampleFeatures]
    part: Callable[[Box | None], ExampleFeatures]


def looks_at(
    extractor: FeatureExtractor,
    picture: NDArray[np.uint8],
    rectangle: Box | None,
    searched: Box | None,
) -> Looks:
    """Return how to look at an object on a picture, (H, W, 3), RGB; see `Looks`."""
    return Looks(
        rectangle,
        searched,
        lambda: coarsened(extractor.extract(picture, None)),
        lambda box: look_closely(extractor, picture, box),
    )


def look_closely(
    extractor: FeatureExtractor, picture: NDArray[np.uint8], box: Box | None
) -> ExampleFeatures:
    """Describe a part of a picture; all of it for None, and for a box whose centre lies beyond it.

    Layouts are laid over the square around the image, so that an object may be found beside it.
    """
    height, width = picture.shape[:2]
    is_on_it = box is not None and (
        0 <= box.left + box.width / 2 <= width and 0 <= box.top + box.height / 2 <= height
    )
    return extractor.extract(picture, box if is_on_it else None)


def describe_example(
    extractor: FeatureExtractor,
    picture: NDArray[np.uint8],
    rectangle: Box | None,
    points: list[tuple[float, float]],
    region: Callable[[], NamingModel | None],
) -> Described:
    """Describe a corrected object: in its rectangle, or else twice.

    The second look is at the part where the object is found without knowing its points, as it will
    be on images that nobody has corrected; at the part around its points before anything is learnt.

    Args:
        points: its final points, x and y, px.
        region: returns what finds objects in whole images, learnt from other images; None before.
    """
    if rectangle is not None:
        return Described(extractor.extract(picture, rectangle).to_bytes())
    whole = coarsened(extractor.extract(picture, None))
    model = region()
    box = (found_box(model, whole) if model else None) or object_box(points)
    return Described(look_closely(extractor, picture, box).to_bytes(), whole.to_bytes())
