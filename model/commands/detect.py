"""The command `python -m model detect`: keypoints of image files, printed and drawn."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model import pictures
from model.commands.classifier_options import classifier_options
from model.commands.detector_options import detector_options
from model.commands.image_files import ImageFile, find_images
from model.decoding import UnreadableImage, read
from model.detector import Detector
from model.keypoint import Box, Detection
from model.networks import load_classifier
from model.settings import DetectorSettings


def parse_box(text: str) -> Box:
    """Read a box from "left,top,width,height", px.

    Raises:
        ValueError: the text is not four numbers.
    """
    try:
        left, top, width, height = map(float, text.split(","))
    except ValueError:
        raise ValueError(
            f"expected four numbers, left,top,width,height in px, got {text!r}"
        ) from None
    return Box(left, top, width, height)


@click.command()
@click.argument(
    "named", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE|FOLDER..."
)
@classifier_options
@click.option(
    "--box",
    type=parse_box,
    metavar="LEFT,TOP,WIDTH,HEIGHT",
    help="Where to look, px of the upright image. Default: the preset decides.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write two pictures of each result to this folder, in subfolders like those of the "
    "images.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each image.")
@click.option("--profile", is_flag=True, help="Print at the end where the time went (stderr).")
@detector_options
def detect(
    named: tuple[Path, ...],
    arch: str | None,
    weights: str | None,
    box: Box | None,
    out: Path | None,
    as_json: bool,
    profile: bool,
    settings: DetectorSettings,
) -> int:
    """Find keypoints on image files, and on the images in folders.

    An image that cannot be used is named on stderr; the others are still detected, and the exit
    status is 1.
    """
    images = find_images(named, out)
    detector = Detector(load_classifier(arch, weights), settings)
    failures = detect_on_files(detector, images, box, out, to_json if as_json else to_text)
    if profile:
        print(detector.profile.to_text(len(images) - failures), file=sys.stderr)
    return 1 if failures else 0


def detect_on_files(
    detector: Detector,
    images: Sequence[ImageFile],
    box: Box | None,
    out: Path | None,
    to_line: Callable[[Path, Detection], str],
) -> int:
    """Detect on every image and print what `to_line` makes of each result.

    Args:
        box: where to look on each image; None leaves that to the detector's settings.
        out: folder for pictures of the results; None for no pictures.

    Returns:
        The number of images that failed; each is named on stderr with the reason.
    """
    failures = 0
    for image in tqdm(images, unit="image", disable=len(images) == 1):
        try:
            with detector.profile.stage("decode"):
                picture = read(image.path)
            detection = detector.detect(picture, box)
            if out:
                _write_pictures(out / image.stem, picture, detection)
        except (OSError, UnreadableImage, ValueError) as error:
            failures += 1
            tqdm.write(f"{image.path}: {error}", file=sys.stderr)
            continue
        tqdm.write(to_line(image.path, detection))
    return failures


def _write_pictures(stem: Path, picture: NDArray[np.uint8], detection: Detection) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    drawn = pictures.draw_keypoints(picture, detection.keypoints)
    for name, image in (("keypoints", drawn), ("panel", pictures.panel(picture, detection))):
        target = stem.with_name(f"{stem.name}-{name}.png")
        # OpenCV itself opens no path that is not valid Unicode.
        _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        try:
            target.write_bytes(png.tobytes())
        except OSError as error:
            raise OSError(f"could not write {target}: {error.strerror}") from error


def to_json(path: Path, detection: Detection) -> str:
    """Return one line of JSON: image, class, probability, size, box and keypoints."""
    facts = {
        "image": str(path),
        "class": detection.class_name,
        "probability": detection.probability,
        "width": detection.width,
        "height": detection.height,
        "box": asdict(detection.box),
        "keypoints": [asdict(point) for point in detection.keypoints],
    }
    return json.dumps(facts)


def to_text(path: Path, detection: Detection) -> str:
    """Return a heading and one line for each keypoint."""
    lines = [
        f"{path}: {detection.class_name} ({detection.probability:.1%}), "
        f"{len(detection.keypoints)} keypoints on {detection.width} × {detection.height} px"
    ]
    lines += [f"  {p.x:9.2f} {p.y:9.2f}  score {p.score:.3f}" for p in detection.keypoints]
    return "\n".join(lines)
