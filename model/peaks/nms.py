"""Non-maximum suppression: a map becomes a ranked list of peaks."""

import cv2
import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def local_maxima(values: NDArray[np.float64], seed: int = 0) -> NDArray[np.int64]:
    """Find the pixels that are not exceeded by any of their eight neighbours.

    Connected pixels of equal value count as one maximum, at the one nearest to their centre of
    mass, and only when no neighbour of any of them is higher. A flat map has no maximum.

    Args:
        values: (H, W), finite.
        seed: decides between pixels that are equally near to the centre of mass.

    Returns:
        (N, 2): row and column, in no order that depends on the position.
    """
    around = cv2.dilate(values, _NEIGHBOURS, borderType=cv2.BORDER_REPLICATE)
    highest = values == around
    count, plateaus = cv2.connectedComponents(highest.astype(np.uint8), connectivity=8)
    if count <= 1 or highest.all():
        return np.empty((0, 2), np.int64)
    rows, columns = np.nonzero(highest)
    plateau = plateaus[rows, columns]
    # A pixel that a neighbour exceeds, beside a plateau and as high: the plateau goes on in it.
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
    """Prune the local maxima of a map that lie near a higher one.

    The highest maximum is kept, all others within `radius` of it are dropped, and so on down.

    Args:
        values: (H, W), finite.
        radius: in the units of `pixel_width` and `pixel_height`.
        pixel_width, pixel_height: size of the map's pixels, when these are not squares of 1.
        seed: of the order in which equal maxima come, so that no corner is preferred.

    Returns:
        (N, 2): row and column, highest first; any two are farther apart than `radius`.

    Raises:
        ValueError: a value is NaN or infinite, or the radius is negative.
    """
    if not np.isfinite(values).all():
        raise ValueError("expected a map of finite values, got NaN or infinity")
    if not radius >= 0:
        raise ValueError(f"expected a radius of at least 0, got {radius}")
    peaks = local_maxima(values, seed)
    shuffled = np.random.default_rng(seed).permutation(len(peaks))
    heights = values[peaks[:, 0], peaks[:, 1]]
    peaks = peaks[shuffled[np.argsort(-heights[shuffled], kind="stable")]]

    places = peaks * np.array([pixel_height, pixel_width])
    alive = np.ones(len(peaks), bool)
    kept = []
    for index in range(len(peaks)):
        if alive[index]:
            kept.append(index)
            alive &= ((places - places[index]) ** 2).sum(axis=1) > radius**2
    return peaks[kept]
