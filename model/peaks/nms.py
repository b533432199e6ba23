"""Non-maximum suppression: reduce a map to a ranked list of peaks."""

import cv2
import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def local_maxima(values: NDArray[np.float64], seed: int = 0) -> NDArray[np.int64]:
    """Find the pixels that none of their eight neighbours exceeds.

    Connected pixels of equal value (a plateau) count as one maximum if no neighbour of any of them
    is higher; it is placed at the pixel nearest to their centre of mass. A flat map has none.

    Args:
        values: (H, W), finite.
        seed: decides between pixels equally near to the centre of mass.

    Returns:
        (N, 2): row and column, in an order that does not depend on the position.
    """
    around = cv2.dilate(values, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE)
    highest = values == around
    count, plateaus = cv2.connectedComponents(highest.astype(np.uint8), connectivity=8)
    if count <= 1 or highest.all():
        return np.empty((0, 2), np.int64)
    rows, columns = np.nonzero(highest)
    plateau = plateaus[rows, columns]
    # A pixel as high as the plateau beside it but exceeded by another neighbour: the plateau
    # continues in it, so no pixel of that plateau is a maximum.
    runs_on = np.where(highest, -np.inf, values)
    runs_on = cv2.dilate(runs_on, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE)
    rising = np.bincount(plateau, runs_on[rows, columns] == values[rows, columns], count) > 0

    size = np.bincount(plateau, minlength=count)
    size[0] = 1  # the background, which holds no maximum
    centre_row = np.bincount(plateau, rows, count) / size
    centre_column = np.bincount(plateau, columns, count) / size
    distance = (rows - centre_row[plateau]) ** 2 + (columns - centre_column[plateau]) ** 2
    shuffle = np.random.default_rng(seed).permutation(len(rows))
    order = shuffle[np.lexsort((distance[shuffle], plateau[shuffle]))]
    first = order[np.unique(plateau[order], return_index=True)[1]]
    first = first[~rising[plateau[first]]]
    return np.stack([rows[first], columns[first]], axis=1)


def ranked_peaks(
    values: NDArray[np.float64],
    *,
    radius: float,
    pixel_width: float = 1.0,
    pixel_height: float = 1.0,
    seed: int = 0,
) -> NDArray[np.int64]:
    """Rank the local maxima of a map, without those that lie near a higher one.

    Keep the highest maximum, drop all others within `radius` of it, and repeat with the rest.

    Args:
        values: (H, W), finite.
        radius: in the units of `pixel_width` and `pixel_height`.
        pixel_width, pixel_height: size of the map's pixels, if they are not squares of side 1.
        seed: seed of the random order of equal maxima, so that no part of the map is preferred.

    Returns:
        (N, 2): row and column, highest first; any two are farther apart than `radius`.

    Raises:
        ValueError: a value is NaN or infinite, or the radius is negative.

    >>> ranked_peaks(np.array([[0.0, 3, 0, 0, 2, 0, 4, 0]]), radius=2)
    array([[0, 6],
           [0, 1]])
    """
    if not np.isfinite(values).all():
        raise ValueError("expected a map of finite values, got NaN or infinity")
    if not radius >= 0:
        raise ValueError(f"expected a radius of at least 0, got {radius}")
    peaks = local_maxima(values, seed)
    shuffled = np.random.default_rng(seed).permutation(len(peaks))
    heights = values[peaks[:, 0], peaks[:, 1]]
    peaks = peaks[shuffled[np.argsort(-heights[shuffled], kind="stable")]]

    y, x = peaks[:, 0] * pixel_height, peaks[:, 1] * pixel_width
    alive = np.ones(len(peaks), bool)
    kept = []
    for index in range(len(peaks)):
        if alive[index]:
            kept.append(index)
            alive[index:] &= (y[index:] - y[index]) ** 2 + (x[index:] - x[index]) ** 2 > radius**2
    return peaks[kept]
