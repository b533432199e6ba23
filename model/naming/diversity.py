"""A rough description of an image, by which to tell how much two images differ."""

import numpy as np
from numpy.typing import NDArray

from model.naming.features import ExampleFeatures

PARTS = 4  # along each side of the grid


def summary(features: ExampleFeatures) -> NDArray[np.float32]:
    """Return a unit vector that describes an image roughly: mean features of 4 × 4 parts of it.

    The grid's side has to be a multiple of 4.
    """
    grid, _, dimensions = features.seen.shape
    size = grid // PARTS
    values = features.seen.astype(np.float32)
    parts = values.reshape(PARTS, size, PARTS, size, dimensions).mean(axis=(1, 3)).ravel()
    return np.asarray(parts / max(float(np.linalg.norm(parts)), 1e-6), np.float32)
