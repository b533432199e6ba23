"""Combine the coarse and the fine map: sigmoid of a weighted sum, or a product."""

import numpy as np
from numpy.typing import NDArray


def relative_to_maximum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide a non-negative map by its maximum; a map of zeros is returned unchanged.

    Raises:
        ValueError: the map holds a negative number, NaN or infinity.
    """
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(
            f"expected finite values from 0 up, got {values.min()} to {values.max()}: "
            f"the network's weights or the image are not what it was trained for"
        )
    largest = values.max()
    return values / largest if largest > 0 else values


def fuse(
    coarse: NDArray[np.float64],
    fine: NDArray[np.float64],
    *,
    coarse_weight: float = 1.0,
    fine_weight: float = 1.0,
) -> NDArray[np.float64]:
    """Combine the coarse and the fine map into the log-likelihood keypoint map.

    Args:
        coarse, fine: (H, W), not negative.

    Returns:
        (H, W): sigmoid(coarse_weight · coarse / max + fine_weight · fine / max), the confidence.
        It lies in [0.5, 1), and is 0.5 where both maps are 0.

    Source: the poster ("combined linearly, where sigmoid functions are used ...").

    >>> fuse(np.array([[0.0, 2.0]]), np.array([[0.0, 5.0]])).round(3)
    array([[0.5  , 0.881]])
    """
    combined = coarse_weight * relative_to_maximum(coarse) + fine_weight * relative_to_maximum(fine)
    return np.asarray(1 / (1 + np.exp(-combined)))


def multiply(
    coarse: NDArray[np.float64],
    fine: NDArray[np.float64],
    *,
    coarse_weight: float = 1.0,
    fine_weight: float = 1.0,
) -> NDArray[np.float64]:
    """Combine the coarse and the fine map so that a keypoint needs both.

    Args:
        coarse, fine: (H, W), not negative.

    Returns:
        (H, W): (coarse / max)^coarse_weight · (fine / max)^fine_weight, in [0, 1].

    >>> multiply(np.array([[1.0, 2.0]]), np.array([[5.0, 0.0]]))
    array([[0.5, 0. ]])
    """
    return np.asarray(
        relative_to_maximum(coarse) ** coarse_weight * relative_to_maximum(fine) ** fine_weight
    )
