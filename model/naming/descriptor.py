"""A rough description of an image, by whose distances a diverse set is chosen."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.naming.diversity import summary
from model.naming.features import ExampleFeatures


def descriptor(features: ExampleFeatures, *, names_sides: bool) -> NDArray[np.float32]:
    """Return (K,), a unit vector: the mean features of 4 × 4 parts of the image.

    Args:
        names_sides: whether labels name sides, so that an example teaches its mirror image as well.
            Then an image and its mirror image have one description: each part is averaged with its
            counterpart in the mirror.
    """
    if names_sides:
        both = (features.seen.astype(np.float32) + features.mirrored.astype(np.float32)) / 2
        features = replace(features, seen=both.astype(np.float16))
    return summary(features)
