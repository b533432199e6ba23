"""The evaluation: every method on every image."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model import image
from model.decoding import read
from model.keypoint import Box
from model.networks import Classifier
from model.settings import DetectorSettings
from studies.evaluation import fills, methods, names, repeatability, rows
from studies.evaluation.datasets import Annotated, spread
from studies.evaluation.landmarks import Saliency, salient_landmarks
from studies.evaluation.methods import Family
from studies.evaluation.rankings import Points
from studies.evaluation.statistics import Interval

BOX, FRAME = "box", "frame"
REFERENCE = "Shi-Tomasi"  # against which lift is measured


@dataclass(frozen=True)
class Options:
    """Amount of computation.

    Attributes:
        slow_images: number of images for methods with an occlusion map; None for all.
        repeated_images: number of images to measure the repeatability of other methods on.
        fill_images: number of images to compare random fills on.
        draws, seed: for the bootstrap; the seed also decides random points, weights and clusters.
    """

    slow_images: int | None = None
    repeated_images: int = 20
    fill_images: int = 8
    draws: int = 10_000
    seed: int = 0


@dataclass
class Outcome:
    """Results of an evaluation.

    Attributes:
        values: region ("box" or "frame") → method → name of the image → metric → value.
        classes: name of the image → its class.
        left_out: what could not be used or measured → the reason.
        accuracy: share of the images whose class the network predicts from the whole image.
        salient, naming: preset → landmarks, and agreement of clusters with their names.
        fills: preset with an occlusion map → agreement between different random fills.
    """

    values: dict[str, dict[str, dict[str, dict[str, float]]]] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    accuracy: float = float("nan")
    salient: dict[str, list[Saliency]] = field(default_factory=dict)
    naming: dict[str, Mapping[str, names.Agreement]] = field(default_factory=dict)
    fills: dict[str, Mapping[str, Interval]] = field(default_factory=dict)


def families(
    classifier: Classifier,
    shuffled: Classifier | None,
    presets: Mapping[str, DetectorSettings],
    variants: Mapping[str, DetectorSettings],
    seed: int,
) -> list[Family]:
    """Return all methods and their controls; variants have no controls."""
    chance = methods.random_network(classifier, seed)
    found = [
        methods.without_network(),
        methods.maps_of_network(classifier),
        methods.guided_of(chance, "random weights"),
    ]
    # Variants come first, so that a preset's occlusion + Sobel replaces that of a variant.
    found += [methods.preset(classifier, settings, name) for name, settings in variants.items()]
    for name, settings in presets.items():
        found.append(methods.preset(classifier, settings, name))
        found.append(methods.preset(chance, settings, f"{name}, random weights", parts=False))
        if shuffled:
            found.append(
                methods.preset(shuffled, settings, f"{name}, shuffled labels", parts=False)
            )
    return found


def load(images: Sequence[Annotated]) -> tuple[list[Annotated], list[NDArray[np.uint8]], Outcome]:
    """Read all images.

    Returns:
        The images that can be read and fit their annotation, their pixels, and an outcome that
        names the others under `left_out`.

    Raises:
        ValueError: no image can be used.
    """
    kept, pictures, outcome = [], [], Outcome()
    for annotated in images:
        try:
            picture = read(annotated.path)
            height, width = picture.shape[:2]
            image.clip_box(annotated.box, width, height)
            # A landmark may lie half a pixel outside, for rounding.
            if not rows.inside(annotated.landmarks, Box(-0.5, -0.5, width + 1, height + 1)).all():
                raise ValueError(f"a landmark lies outside the image of {width} × {height} px")
        except (OSError, ValueError) as error:
            outcome.left_out[annotated.name] = str(error)
            continue
        kept.append(annotated)
        pictures.append(picture)
        outcome.classes[annotated.name] = annotated.class_name
    if not kept:
        raise ValueError(f"none of the {len(images)} images can be used: {outcome.left_out}")
    return kept, pictures, outcome


def run(
    images: Sequence[Annotated],
    classifier: Classifier,
    presets: Mapping[str, DetectorSettings],
    options: Options,
    *,
    variants: Mapping[str, DetectorSettings] | None = None,
    shuffled: Classifier | None = None,
    progress: bool = True,
) -> Outcome:
    """Measure every method on the images, within the annotated boxes and on full frames.

    Full frames are left out if the boxes fill them.

    Args:
        presets: name → settings, measured with controls.
        variants: name → settings, measured without controls.
        shuffled: the network trained on shuffled labels, as a control.

    Raises:
        ValueError: no image can be used.
    """
    kept, pictures, outcome = load(images)
    outcome.accuracy = _accuracy(classifier, kept, pictures)
    every = families(classifier, shuffled, presets, variants or {}, options.seed)
    slow = {annotated.name for annotated in spread(kept, options.slow_images)}
    best: dict[str, dict[str, Points]] = {annotated.name: {} for annotated in kept}
    places = [BOX] if _boxes_fill(kept, pictures) else [BOX, FRAME]
    work = [(where, number) for where in places for number in range(len(kept))]
    for where, number in tqdm(work, desc="evaluating", unit="image", disable=not progress):
        annotated, picture = kept[number], pictures[number]
        box = annotated.box if where == BOX else None
        area = image.clip_box(box, picture.shape[1], picture.shape[0])
        chances = rows.chances(annotated, area)
        for family in every:
            if family.slow and annotated.name not in slow:
                continue
            for name, ranking in family.rankings(picture, box, number).items():
                of_method = outcome.values.setdefault(where, {}).setdefault(name, {})
                of_method[annotated.name] = dict(rows.row(annotated, chances, ranking))
                if where == BOX and (name in presets or name == REFERENCE):
                    distance = rows.NMS_RADIUS * annotated.length
                    best[annotated.name][name] = ranking(rows.BUDGET, distance)
    for name, settings in presets.items():
        _landmarks_and_names(outcome, name, classifier, kept, pictures, best, options)
        if settings.coarse == "occlusion":
            chosen = spread(kept, options.fill_images)
            shown = [pictures[kept.index(annotated)] for annotated in chosen]
            outcome.fills[name] = fills.spread_over_fills(
                classifier, settings, chosen, shown, draws=options.draws, seed=options.seed
            )
    fast = [family for family in every if not family.slow]
    _repeat(outcome, fast, kept, pictures, options.repeated_images, progress)
    return outcome


def _boxes_fill(images: Sequence[Annotated], pictures: Sequence[NDArray[np.uint8]]) -> bool:
    shares = [
        annotated.box.width * annotated.box.height / (picture.shape[0] * picture.shape[1])
        for annotated, picture in zip(images, pictures, strict=True)
    ]
    return bool(min(shares) > 0.98)


@torch.inference_mode()
def _accuracy(
    classifier: Classifier, images: Sequence[Annotated], pictures: Sequence[NDArray[np.uint8]]
) -> float:
    right = 0
    for annotated, picture in zip(images, pictures, strict=True):
        whole = image.clip_box(None, picture.shape[1], picture.shape[0])
        square, _ = image.to_square(picture, whole, classifier.input_size, "squash")
        pixels = image.to_tensor(square, classifier.mean, classifier.std)
        predicted = int(classifier.network(pixels[None])[0].argmax())
        right += classifier.classes[predicted] == annotated.class_name
    return right / len(images)


def _landmarks_and_names(
    outcome: Outcome,
    preset: str,
    classifier: Classifier,
    images: Sequence[Annotated],
    pictures: Sequence[NDArray[np.uint8]],
    best: Mapping[str, Mapping[str, Points]],
    options: Options,
) -> None:
    chosen = [number for number, area in enumerate(images) if preset in best[area.name]]
    areas = [images[number] for number in chosen]
    found = [best[area.name][preset] for area in areas]
    corners = [best[area.name][REFERENCE] for area in areas]
    outcome.salient[preset] = salient_landmarks(
        areas, found, corners, draws=options.draws, seed=options.seed
    )
    landmark_names = {name for area in areas for name in area.names}
    try:
        outcome.naming[preset] = names.cluster_agreement(
            classifier,
            areas,
            [pictures[number] for number in chosen],
            found,
            clusters=len(landmark_names),
            seed=options.seed,
        )
    except names.TooFew as error:
        outcome.left_out[f"names of {preset}"] = str(error)


def _repeat(
    outcome: Outcome,
    fast: Sequence[Family],
    images: Sequence[Annotated],
    pictures: Sequence[NDArray[np.uint8]],
    count: int,
    progress: bool,
) -> None:
    """Add repeatability within the box to the values of some images."""
    chosen = spread(list(images), count)
    for annotated in tqdm(chosen, desc="repeating", unit="image", disable=not progress):
        picture = pictures[images.index(annotated)]
        distance = rows.NMS_RADIUS * annotated.length
        # A number of its own for each copy, so that random points differ between copies.
        numbers = itertools.count()

        def find(
            changed: NDArray[np.uint8],
            box: Box,
            distance: float = distance,
            numbers: Iterator[int] = numbers,
        ) -> dict[str, Points]:
            number = next(numbers)
            return {
                name: ranking(rows.BUDGET, distance)
                for family in fast
                for name, ranking in family.rankings(changed, box, number).items()
            }

        for name, share in repeatability.repeatability(annotated, picture, find).items():
            if name in outcome.values[BOX]:
                outcome.values[BOX][name][annotated.name]["repeatability"] = share
