"""The command `python -m model detect`: keypoints of image files, printed and drawn."""

import argparse
import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import cv2
from tqdm import tqdm

from model import pictures
from model.decoding import UnreadableImage, read
from model.detector import Detector
from model.keypoint import Box, Detection
from model.networks import load_classifier
from model.settings import PRESETS, DetectorSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments, one for every setting of the detector among them."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--arch", help="torchvision classifier of ReLU layers, or small")
    parser.add_argument("--weights", help="IMAGENET1K_V1 (default) or a weights file")
    parser.add_argument(
        "--box",
        type=parse_box,
        metavar="LEFT,TOP,WIDTH,HEIGHT",
        help="where to look, px of the upright image; the whole image without it",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a picture of each result")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each image")
    parser.add_argument(
        "--profile", action="store_true", help="say at the end where the time went (stderr)"
    )
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare an argument for every field of `DetectorSettings`."""
    group = parser.add_argument_group("detector settings, of which each replaces the preset's")
    group.add_argument("--preset", choices=PRESETS, default="default", help="default %(default)s")
    hints = get_type_hints(DetectorSettings)
    for field in fields(DetectorSettings):
        shown = {name: getattr(preset, field.name) for name, preset in PRESETS.items()}
        options: dict[str, Any] = {
            "default": argparse.SUPPRESS,
            "help": ", ".join(f"{name} {value}" for name, value in shown.items()),
        }
        hint = hints[field.name]
        if hint is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif get_origin(hint) is Literal:
            options["choices"] = get_args(hint)
        elif NoneType in get_args(hint):
            options |= {"type": int_or_none, "metavar": "N"}
        else:
            options |= {"type": hint, "metavar": "N"}
        group.add_argument(f"--{field.name.replace('_', '-')}", **options)


def settings_of(arguments: argparse.Namespace) -> DetectorSettings:
    """The detector's settings out of a command line that `add_settings` declared.

    Raises:
        ValueError: a setting is out of its range.
    """
    given = vars(arguments)
    names = {field.name for field in fields(DetectorSettings)}
    return replace(
        PRESETS[arguments.preset], **{name: given[name] for name in names & given.keys()}
    )


def int_or_none(text: str) -> int | None:
    """A whole number, or None for "none"."""
    return None if text.lower() == "none" else int(text)


def parse_box(text: str) -> Box:
    """Read `left,top,width,height`, px."""
    try:
        left, top, width, height = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected four numbers, left,top,width,height in px, got {text!r}"
        ) from None
    return Box(left, top, width, height)


def run(arguments: argparse.Namespace) -> int:
    """Detect on every image; an image that fails is named and hurts no other.

    Returns:
        The exit status: 0, or 1 where an image failed.
    """
    settings = settings_of(arguments)
    detector = Detector(load_classifier(arguments.arch, arguments.weights), settings)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
    failures = []
    for path in tqdm(arguments.images, unit="image", disable=len(arguments.images) == 1):
        try:
            with detector.profile.stage("decode"):
                picture = read(path)
            detection = detector.detect(picture, arguments.box)
        except (OSError, UnreadableImage, ValueError) as error:
            failures.append(path)
            tqdm.write(f"{path}: {error}", file=sys.stderr)
            continue
        if arguments.out:
            _write_pictures(arguments.out / path.stem, picture, detection)
        tqdm.write(to_json(path, detection) if arguments.json else to_text(path, detection))
    if arguments.profile:
        images = len(arguments.images) - len(failures)
        print(detector.profile.to_text(images), file=sys.stderr)
    return 1 if failures else 0


def _write_pictures(stem: Path, picture: Any, detection: Detection) -> None:
    drawn = pictures.draw_keypoints(picture, detection.keypoints)
    for name, image in (("keypoints", drawn), ("panel", pictures.panel(picture, detection))):
        target = stem.with_name(f"{stem.name}-{name}.png")
        if not cv2.imwrite(str(target), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
            raise OSError(f"could not write {target}")


def to_json(path: Path, detection: Detection) -> str:
    """One line of JSON: image, class, probability, size, box and keypoints."""
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
    """A heading and a line for each keypoint."""
    lines = [
        f"{path}: {detection.class_name} ({detection.probability:.1%}), "
        f"{len(detection.keypoints)} keypoints on {detection.width} × {detection.height} px"
    ]
    lines += [f"  {p.x:9.2f} {p.y:9.2f}  score {p.score:.3f}" for p in detection.keypoints]
    return "\n".join(lines)
