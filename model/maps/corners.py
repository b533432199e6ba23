"""Fine scale without the network: how much of a corner every pixel is."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Side of the window over which the gradients are gathered, px.
WINDOW = 5


def corner_map(grey: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Smaller eigenvalue of the structure tensor: large where the brightness varies both ways.

    Args:
        grey: (H, W), any unit.
        scale: standard deviation of the Gaussian that blurs the image first, px; 0 for none.

    Returns:
        (H, W), never negative.

    Source: Shi and Tomasi, "Good features to track", CVPR 1994.
    """
    image = grey.astype(np.float32)
    if scale > 0:
        image = cv2.GaussianBlur(image, (0, 0), scale, borderType=cv2.BORDER_REPLICATE)
    # At the border the image is continued as it ends, or its edge would pass for a corner.
    values = cv2.cornerMinEigenVal(image, WINDOW, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.maximum(values, 0).astype(np.float64))
