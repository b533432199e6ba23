"""Pictures with four shapes, each at a place of its own: what a project with landmarks labels."""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np


def save_plates(
    folder: Path, places: Callable[[int], Mapping[str, tuple[float, float]]], count: int, side: int
) -> None:
    """Save square pictures as 0.png, 1.png, ...

    `places` says where disc, square, ring and bar of a picture are, and `side` its size, in px.
    """
    for number in range(count):
        image = np.full((side, side, 3), 190, np.uint8)
        at = {name: (int(x), int(y)) for name, (x, y) in places(number).items()}
        cv2.circle(image, at["disc"], 16, (20, 20, 220), -1)
        x, y = at["square"]
        cv2.rectangle(image, (x - 14, y - 14), (x + 14, y + 14), (220, 20, 20), -1)
        cv2.circle(image, at["ring"], 14, (20, 160, 20), 5)
        x, y = at["bar"]
        cv2.rectangle(image, (x - 20, y - 5), (x + 20, y + 5), (10, 10, 10), -1)
        cv2.imwrite(str(folder / f"{number}.png"), image)
