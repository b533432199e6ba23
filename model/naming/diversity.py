"""Which examples to keep where there are too many: those that differ most."""

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


def diverse_subset(summaries: NDArray[np.float32], most: int) -> list[int]:
    """Return the indices of at most `most` examples that cover all of them, ascending.

    Begin with the newest, and add the one that is farthest from those chosen, until there are
    enough. No example is then more than twice as far from a chosen one as it would have to be.

    Args:
        summaries: (N, K), oldest first.
        most: at least 1.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical
    Computer Science 38, 1985.
    """
    if most < 1:
        raise ValueError(f"expected to keep at least one example, got {most}")
    if len(summaries) <= most:
        return list(range(len(summaries)))
    chosen = [len(summaries) - 1]
    distance = np.linalg.norm(summaries - summaries[-1], axis=1)
    while len(chosen) < most:
        distance[chosen] = -1  # even if another is equal to it
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(summaries - summaries[chosen[-1]], axis=1))
    return sorted(chosen)
