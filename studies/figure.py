"""The command `python -m studies figure`: the poster's Figures 2 and 3 for any annotated data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model import image, pictures
from model.commands.classifier_options import classifier_options
from model.decoding import read
from model.detector import Detector
from model.keypoint import Box, Detection, Keypoint, centre_to_edge, edge_to_centre
from model.networks import load_classifier
from model.settings import PRESETS
from studies.data_options import AT_LEAST_ONE, data_options
from studies.requirements import development_requirements

if TYPE_CHECKING:  # these need the libraries of requirements-dev.txt
    from studies.evaluation.datasets import Annotated
    from studies.evaluation.landmarks import Saliency
    from studies.evaluation.methods import Family
    from studies.evaluation.rankings import Points

HEIGHT = 224  # of a row of Figure 2, px
DRAWS = 2000  # of the bootstrap


@click.command()
@data_options
@classifier_options
@click.option("--preset", type=click.Choice(list(PRESETS)), default="poster", show_default=True)
@click.option(
    "--rows",
    type=AT_LEAST_ONE,
    default=5,
    show_default=True,
    metavar="N",
    help="Rows of Figure 2, one image each.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="For both figures."
)
def figure(
    data: Path,
    split: str,
    images: int | None,
    arch: str | None,
    weights: str | None,
    preset: str,
    rows: int,
    out: Path,
) -> None:
    """Draw the poster's Figures 2 and 3 for annotated images.

    Detects within the annotated boxes, and prints the names of the two files.
    """
    with development_requirements():
        from studies.evaluation import methods
        from studies.evaluation.datasets import read_data_set, spread
        from studies.evaluation.landmarks import salient_landmarks
    areas = spread(read_data_set(data, split), images)
    detector = Detector(load_classifier(arch, weights), PRESETS[preset])
    shown = {area.name for area in spread(areas, rows)}
    drawn, found, reference = detect_all(areas, detector, methods.without_network(), shown)
    table = salient_landmarks(areas, found, reference, draws=DRAWS, seed=0)
    out.mkdir(parents=True, exist_ok=True)
    second, third = out / f"figure2-{preset}.png", out / f"figure3-{preset}.png"
    if not cv2.imwrite(str(second), cv2.cvtColor(stack(drawn), cv2.COLOR_RGB2BGR)):
        raise OSError(f"could not write {second}")
    plot_salient(table, third)
    print(f"{second}\n{third}")


def detect_all(
    areas: Sequence[Annotated], detector: Detector, corners: Family, shown: set[str]
) -> tuple[list[NDArray[np.uint8]], list[Points], list[Points]]:
    """Detect within every annotated box, and find as many corners there.

    Args:
        corners: methods with a ranking called "Shi-Tomasi".
        shown: names of the images to draw a row of Figure 2 for.

    Returns:
        Rows of Figure 2; keypoints of each image, (N, 2); as many Shi-Tomasi corners, (N, 2).
    """
    rows, found, reference = [], [], []
    for area in tqdm(areas, desc="detecting", unit="image"):
        picture = read(area.path)
        detection = detector.detect(picture, area.box)
        points = np.array([(p.x, p.y) for p in detection.keypoints]).reshape(-1, 2)
        others = corners.rankings(picture, area.box, 0)["Shi-Tomasi"]
        found.append(points)
        # Equal N on every image, also where the preset keeps a share of its peaks.
        reference.append(others(len(points), detector.settings.nms_radius * area.length))
        if area.name in shown:
            rows.append(five_columns(picture, detection, area.landmarks))
    return rows, found, reference


def five_columns(
    picture: NDArray[np.uint8], detection: Detection, landmarks: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Draw input, coarse map, fine map, detections in red and landmarks in green, side by side.

    Args:
        landmarks: (N, 2), px; (0, 0) is the centre of the first pixel.

    Returns:
        (HEIGHT, width, 3): the part of the picture under the detection's box, five times.
    """
    box = detection.box
    size = (max(1, round(box.width * HEIGHT / box.height)), HEIGHT)
    part = np.asarray(
        cv2.resize(image.crop(picture, box), size, interpolation=cv2.INTER_AREA), np.uint8
    )
    marks = [Keypoint(float(x), float(y), 1.0, "") for x, y in landmarks]
    columns = [
        part,
        pictures.heatmap(part, detection.maps["coarse"]),
        pictures.heatmap(part, detection.maps["fine"]),
        pictures.draw_keypoints(part, moved(detection.keypoints, box, size), pictures.RED),
        pictures.draw_keypoints(part, moved(marks, box, size), pictures.GREEN),
    ]
    gap = np.full((HEIGHT, 4, 3), 255, np.uint8)
    return np.concatenate([piece for column in columns for piece in (column, gap)][:-1], axis=1)


def moved(points: Sequence[Keypoint], box: Box, size: tuple[int, int]) -> list[Keypoint]:
    """Return points of the image as points of its box, resized to `size` (width, height), px."""
    width, height = size
    return [
        Keypoint(
            edge_to_centre((centre_to_edge(point.x) - box.left) * width / box.width),
            edge_to_centre((centre_to_edge(point.y) - box.top) * height / box.height),
            point.score,
            point.label,
        )
        for point in points
    ]


def stack(rows: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Stack rows of different widths on white."""
    width = max(row.shape[1] for row in rows)
    gap = np.full((4, width, 3), 255, np.uint8)
    padded = [
        np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    return np.concatenate([piece for row in padded for piece in (row, gap)][:-1])


def plot_salient(table: Sequence[Saliency], path: Path) -> None:
    """Plot for each class the poster's histogram, and the lift over corners with its interval."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    classes = list(dict.fromkeys(row.class_name for row in table))
    drawing, axes = plt.subplots(
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
            # A triangle at the top stands for a lift beyond the axis, as where corners never hit.
            lifts.plot([place, place], [low, high], color="tab:gray")
            if high == top:
                lifts.plot(place, top, "^", color="tab:gray")
            lifts.plot(place, mean, "^" if mean == top else "o", color="tab:red")
        lifts.set_ylim(0, 1.06 * top)
        lifts.set(title="lift over Shi-Tomasi at equal N", xticks=range(len(rows)))
        lifts.set_xticklabels(names)
        for side in (histogram, lifts):
            side.tick_params(axis="x", rotation=90)
    drawing.savefig(path, dpi=100)
    plt.close(drawing)
