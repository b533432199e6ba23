"""Where the object is, told by the class evidence alone."""

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box


def activation_region(
    evidence: NDArray[np.float64], box: Box, *, threshold: float, margin: float
) -> Box:
    """The part of a box that holds the cells with enough evidence, and a margin round it.

    Args:
        evidence: (h, w), not negative; its cells tile the box evenly.
        box: of whole pixels.
        threshold: cells count from this share of the largest evidence on.
        margin: added on every side, as a share of that side of the region.

    Returns:
        A box of whole pixels inside `box`; `box` itself where there is no evidence at all.

    Source: the box round a thresholded class activation map, Zhou et al., CVPR 2016.
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
    """An interval of [0, 1] with a margin on either side, and still within it."""
    extra = margin * (high - low)
    return max(low - extra, 0.0), min(high + extra, 1.0)
