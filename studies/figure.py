"""The command `python -m model figure`: the poster's Figures 2 and 3 for any annotated data set."""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model import image, pictures
from model.decoding import read
from model.detector import Detector
from model.keypoint import Detection, Keypoint
from model.networks import load_classifier
from model.settings import PRESETS

HEIGHT = 224  # of a row of Figure 2, px


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="test", help="default %(default)s")
    parser.add_argument("--arch", help="torchvision classifier of ReLU layers, or small")
    parser.add_argument("--weights", help="IMAGENET1K_V1 (default) or a weights file")
    parser.add_argument("--preset", choices=PRESETS, default="poster", help="default %(default)s")
    parser.add_argument("--images", type=int, metavar="N", help="at most N, spread evenly")
    parser.add_argument("--rows", type=int, default=5, metavar="N", help="rows of Figure 2")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    """Draw both figures, within the annotated boxes, and name the files."""
    try:
        datasets = importlib.import_module("studies.evaluation.datasets")
        landmarks = importlib.import_module("studies.evaluation.landmarks")
        methods = importlib.import_module("studies.evaluation.methods")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"figures need {error.name}: pip install -r requirements-dev.txt"
        ) from error
    areas = datasets.read_data_set(arguments.data, arguments.split)
    areas = datasets.spread(areas, arguments.images)
    classifier = load_classifier(arguments.arch, arguments.weights)
    settings = PRESETS[arguments.preset]
    detector = Detector(classifier, settings)
    corners = methods.without_network()
    shown = {area.name for area in datasets.spread(areas, arguments.rows)}
    rows, found, reference = [], [], []
    for area in tqdm(areas, desc="detecting", unit="image"):
        picture = read(area.path)
        detection = detector.detect(picture, area.box)
        points = np.array([(p.x, p.y) for p in detection.keypoints]).reshape(-1, 2)
        others = corners.rankings(picture, area.box, 0)["Shi-Tomasi"]
        found.append(points)
        # Equal N on every image, also where the preset keeps a share of its peaks.
        reference.append(others(len(points), settings.nms_radius * area.length))
        if area.name in shown:
            rows.append(five_columns(picture, detection, area.landmarks))
    table = landmarks.salient_landmarks(areas, found, reference, draws=2000, seed=0)
    arguments.out.mkdir(parents=True, exist_ok=True)
    second = arguments.out / f"figure2-{arguments.preset}.png"
    if not cv2.imwrite(str(second), cv2.cvtColor(stack(rows), cv2.COLOR_RGB2BGR)):
        raise OSError(f"could not write {second}")
    third = arguments.out / f"figure3-{arguments.preset}.png"
    plot_salient(table, third)
    print(f"{second}\n{third}")
    return 0


def five_columns(
    picture: NDArray[np.uint8], detection: Detection, landmarks: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Input, coarse map, fine map, detections in red and landmarks (N, 2) in green, side by side.

    Returns:
        (HEIGHT, width, 3): the part of the picture under the detection's box, five times.
    """
    box = detection.box
    factor = HEIGHT / box.height
    size = (max(1, round(box.width * factor)), HEIGHT)
    part = cv2.resize(image.crop(picture, box), size, interpolation=cv2.INTER_AREA)
    marks = [Keypoint(float(x), float(y), 1.0, "") for x, y in landmarks]

    def dotted(points: Sequence[Keypoint], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
        moved = [
            Keypoint(
                (p.x + 0.5 - box.left) * size[0] / box.width - 0.5,
                (p.y + 0.5 - box.top) * factor - 0.5,
                p.score,
                p.label,
            )
            for p in points
        ]
        return pictures.draw_keypoints(np.asarray(part, np.uint8), moved, colour)

    gap = np.full((HEIGHT, 4, 3), 255, np.uint8)
    columns = [
        part,
        *(
            pictures.heatmap(np.asarray(part, np.uint8), detection.maps[m])
            for m in ("coarse", "fine")
        ),
        dotted(detection.keypoints, pictures.RED),
        dotted(marks, pictures.GREEN),
    ]
    return np.concatenate([piece for column in columns for piece in (column, gap)][:-1], axis=1)


def stack(rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Rows of unlike widths below each other, on white."""
    width = max(row.shape[1] for row in rows)
    gap = np.full((4, width, 3), 255, np.uint8)
    padded = [
        np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    return np.concatenate([piece for row in padded for piece in (row, gap)][:-1])


def plot_salient(table: Sequence[Any], path: Path) -> None:
    """For each class the poster's histogram, and beside it lift over corners with its interval.

    Args:
        table: of `studies.evaluation.landmarks.salient_landmarks`.
    """
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("agg")
    plt = importlib.import_module("matplotlib.pyplot")
    classes = list(dict.fromkeys(row.class_name for row in table))
    figure, axes = plt.subplots(
        len(classes), 2, figsize=(10, 2.6 * len(classes)), layout="constrained", squeeze=False
    )
    for (histogram, lifts), class_name in zip(axes, classes, strict=True):
        rows = [row for row in table if row.class_name == class_name]
        names = [row.landmark for row in rows]
        histogram.bar(names, [row.nearest for row in rows], color="tab:gray")
        histogram.set(title=class_name, ylabel="detections nearest")
        lifts.axhline(1, color="black", linewidth=0.8)
        ends = np.array([(row.lift.low, row.lift.mean, row.lift.high) for row in rows])
        top = 1.25 * max(1.0, *ends[np.isfinite(ends)])
        for place, (low, mean, high) in enumerate(np.minimum(ends, top)):
            # An arrow at the top: beyond what is drawn, as where corners never hit.
            lifts.plot([place, place], [low, high], color="tab:gray")
            if high == top:
                lifts.plot(place, top, "^", color="tab:gray")
            lifts.plot(place, mean, "^" if mean == top else "o", color="tab:red")
        lifts.set_ylim(0, 1.06 * top)
        lifts.set(title="lift over Shi-Tomasi at equal N", xticks=range(len(rows)))
        lifts.set_xticklabels(names)
        for side in (histogram, lifts):
            side.tick_params(axis="x", rotation=90)
    figure.savefig(path, dpi=100)
    plt.close(figure)
