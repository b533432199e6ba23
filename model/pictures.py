"""Pictures of a detection: keypoints on the image, maps as colours over it."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from model.image import crop
from model.keypoint import Detection, Keypoint

RED = (220, 30, 30)
GREEN = (30, 170, 60)


def draw_keypoints(
    picture: NDArray[np.uint8],
    keypoints: Sequence[Keypoint],
    colour: tuple[int, int, int] = RED,
) -> NDArray[np.uint8]:
    """Copy an image (H, W, 3) and draw a ringed dot at each keypoint, placed to 1/16 px."""
    canvas = picture.copy()
    radius = max(2.0, 0.008 * max(picture.shape[:2]))
    for point in keypoints:
        centre = (round(point.x * 16), round(point.y * 16))
        ring = round((radius + max(1.0, radius / 3)) * 16)
        cv2.circle(canvas, centre, ring, (255, 255, 255), cv2.FILLED, cv2.LINE_AA, 4)
        cv2.circle(canvas, centre, round(radius * 16), colour, cv2.FILLED, cv2.LINE_AA, 4)
    return canvas


def heatmap(picture: NDArray[np.uint8], values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Blend a map (h, w) into an image (H, W, 3): blue where it is lowest, red where highest."""
    low, high = float(values.min()), float(values.max())
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    height, width = picture.shape[:2]
    large = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    levels = np.clip(np.round(large * 255), 0, 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.addWeighted(picture, 0.4, colours, 0.6, 0), np.uint8)


def panel(picture: NDArray[np.uint8], detection: Detection) -> NDArray[np.uint8]:
    """Draw input, coarse map, fine map and keypoints side by side, over the detection's box.

    Each map carries its caption, if the detection has one.
    """
    part = crop(picture, detection.box)
    shown = crop(draw_keypoints(picture, detection.keypoints), detection.box)
    maps = []
    for name in ("coarse", "fine"):
        coloured = heatmap(part, np.asarray(detection.maps[name]))
        maps.append(_captioned(coloured, detection.captions.get(name, "")))
    gap = np.full((part.shape[0], max(2, part.shape[1] // 50), 3), 255, np.uint8)
    columns = [part, gap, maps[0], gap, maps[1], gap, shown]
    return np.concatenate(columns, axis=1)


def _captioned(picture: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """Write a caption, white on black, along the bottom edge; on a narrow picture it is small."""
    if not caption:
        return picture
    font, margin = cv2.FONT_HERSHEY_SIMPLEX, 2
    (width, _), _ = cv2.getTextSize(caption, font, 1.0, 1)
    scale = min(0.5, (picture.shape[1] - 2 * margin) / width)
    (width, height), below = cv2.getTextSize(caption, font, scale, 1)
    baseline = picture.shape[0] - below - margin
    top_left, bottom_right = (0, baseline - height - margin), (width + 2 * margin, picture.shape[0])
    cv2.rectangle(picture, top_left, bottom_right, (0, 0, 0), cv2.FILLED)
    cv2.putText(picture, caption, (margin, baseline), font, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return picture
