"""The region of the object, found from the class evidence alone."""

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box


def activation_region(
    evidence: NDArray[np.float64], box: Box, *, threshold: float, margin: float
) -> Box:
    """Return the part of a box that holds the cells with enough evidence, plus a margin.

    Args:
        evidence: (h, w), not negative; its cells tile the box evenly.
        box: a box of whole pixels.
        threshold: smallest evidence of a cell that counts, as a share of the largest.
        margin: added on every side, as a share of that side of the region.

    Returns:
        A box of whole pixels inside `box`; `box` itself if there is no evidence at all.

    Source: the box around a thresholded class activation map, Zhou et al., CVPR 2016.

    >>> evidence = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 9.0, 0.0]])
    >>> activation_region(evidence, Box(0, 0, 400, 200), threshold=0.5, margin=0.1)
    Box(left=190.0, top=90.0, width=120.0, height=110.0)
    """
    if not evidence.max() > 0:
        return box
    rows, columns = np.nonzero(evidence >= threshold * evidence.max())
    height, width = evidence.shape
    left, right = _widened(columns.min() / width, (columns.max() + 1) / width, margin)
    top, bottom = _widened(rows.min() / height, (rows.max() + 1) / height, margin)
    left, right = np.floor(left * box.width), np.ceil(right * box.width)
    top, bottom = np.floor(top * box.height), np.ceil(bottom * box.height)
    return Box(
        box.left + float(left), box.top + float(top), float(right - left), float(bottom - top)
    )


def _widened(low: float, high: float, margin: float) -> tuple[float, float]:
    """Add a margin to both ends of an interval, and cut it to [0, 1]."""
    extra = margin * (high - low)
    return max(low - extra, 0.0), min(high + extra, 1.0)
