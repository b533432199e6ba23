"""Both scales in one map: linear combination, then a sigmoid."""

import numpy as np
from numpy.typing import NDArray


def relative_to_maximum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide a map that is not negative by its maximum; a map of zeros stays as it is.

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
        It lies in [0.5, 1), being 0.5 where neither scale sees anything.

    Source: the poster ("combined linearly, where sigmoid functions are used ...").
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
    """Combine the two scales so that a keypoint needs both.

    Args:
        coarse, fine: (H, W), not negative.

    Returns:
        (H, W): (coarse / max)^coarse_weight · (fine / max)^fine_weight, in [0, 1].
    """
    return np.asarray(
        relative_to_maximum(coarse) ** coarse_weight * relative_to_maximum(fine) ** fine_weight
    )
