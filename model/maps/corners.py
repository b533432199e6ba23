"""Fine scale without the network: how corner-like every pixel is."""

import cv2
import numpy as np
from numpy.typing import NDArray

from model.maps.interface import Map, MapInput, MapSetup

# Side of the window over which gradients are summed, px.
WINDOW = 5


def prepare(setup: MapSetup) -> Map:
    """See `model.maps.interface.MapFactory`; reads the setting `corner_scale`."""

    def corners(given: MapInput) -> NDArray[np.float64]:
        return corner_map(given.grey, setup.settings.corner_scale)

    return corners


def corner_map(grey: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Compute the smaller eigenvalue of the structure tensor, which is large at corners.

    Args:
        grey: (H, W), any unit.
        scale: standard deviation of the Gaussian blur applied first, px; 0 for none.

    Returns:
        (H, W), never negative.

    Source: Shi and Tomasi, "Good features to track", CVPR 1994.
    """
    image = grey.astype(np.float32)
    if scale > 0:
        image = cv2.GaussianBlur(image, (0, 0), scale, borderType=cv2.BORDER_REPLICATE)
    # Replicate the border: with any other padding the image's edge would look like a corner.
    values = cv2.cornerMinEigenVal(image, WINDOW, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.maximum(values, 0).astype(np.float64))
