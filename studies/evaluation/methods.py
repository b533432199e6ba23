"""All methods of the protocol, in families that share an expensive computation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import filters

from model import image
from model.detector import Detector
from model.keypoint import Box
from model.maps import guided_backprop
from model.networks import Classifier, build_network
from model.peaks import fusion
from model.settings import DetectorSettings
from studies.evaluation import baselines
from studies.evaluation.rankings import MapRanking, Ranking

# (picture, box or None, number of the image) → a ranking for each method of the family.
Rankings = Callable[[NDArray[np.uint8], Box | None, int], Mapping[str, Ranking]]


@dataclass(frozen=True)
class Family:
    """Methods that share one computation; `slow` if that includes an occlusion map."""

    rankings: Rankings
    slow: bool = False


def without_network() -> Family:
    """Chance and corner detectors; see `baselines.without_network`."""

    def rankings(picture: NDArray[np.uint8], box: Box | None, number: int) -> Mapping[str, Ranking]:
        whole = image.clip_box(box, picture.shape[1], picture.shape[0])
        return baselines.without_network(picture, whole, seed=number)

    return Family(rankings)


def maps_of_network(classifier: Classifier) -> Family:
    """Grad-CAM, LayerCAM, gradient and guided backpropagation, alone."""

    def rankings(picture: NDArray[np.uint8], box: Box | None, number: int) -> Mapping[str, Ranking]:
        whole = image.clip_box(box, picture.shape[1], picture.shape[0])
        return {
            **baselines.of_network(classifier, picture, whole),
            "guided backpropagation": _guided(classifier, picture, whole),
        }

    return Family(rankings)


def guided_of(classifier: Classifier, name: str) -> Family:
    """Guided backpropagation alone, of a control network called `name`."""

    def rankings(picture: NDArray[np.uint8], box: Box | None, number: int) -> Mapping[str, Ranking]:
        whole = image.clip_box(box, picture.shape[1], picture.shape[0])
        return {f"guided backpropagation, {name}": _guided(classifier, picture, whole)}

    return Family(rankings)


def _guided(classifier: Classifier, picture: NDArray[np.uint8], box: Box) -> Ranking:
    square, _ = image.to_square(picture, box, classifier.input_size, "squash")
    pixels = image.to_tensor(square, classifier.mean, classifier.std)
    gradient = guided_backprop.guided_backprop(classifier.network, pixels)
    return MapRanking(guided_backprop.colours_to_map(gradient).numpy(), box)


def preset(
    classifier: Classifier, settings: DetectorSettings, name: str, *, parts: bool = True
) -> Family:
    """The detector with these settings and, with `parts`, without some of its parts.

    That is: each scale alone, without the Förstner operator, without the region, and for an
    occlusion map also with Sobel in place of guided backpropagation.
    """
    detector = Detector(classifier, settings)
    bounded = settings.region != "none"
    unbounded = Detector(classifier, replace(settings, region="none")) if bounded else detector

    def rankings(picture: NDArray[np.uint8], box: Box | None, number: int) -> Mapping[str, Ranking]:
        detection = detector.detect(picture, box)
        grey = _grey(picture, detection.box, detection.maps["fused"].shape)
        refined = grey if settings.subpixel else None
        found: dict[str, Ranking] = {
            name: MapRanking(detection.maps["fused"], detection.box, refined)
        }
        if not parts:
            return found
        for scale in ("coarse", "fine"):
            found[f"{name}: {scale} scale alone"] = MapRanking(
                detection.maps[scale], detection.box, refined
            )
        found[f"{name}: no Förstner"] = MapRanking(detection.maps["fused"], detection.box)
        if bounded and box is None:
            whole = unbounded.detect(picture)
            found[f"{name}: no region"] = MapRanking(
                whole.maps["fused"],
                whole.box,
                _grey(picture, whole.box, whole.maps["fused"].shape),
            )
        if settings.coarse == "occlusion":
            edges = fusion.fuse(detection.maps["coarse"], filters.sobel(grey))
            found["occlusion + Sobel"] = MapRanking(edges, detection.box, refined)
        return found

    return Family(rankings, slow=settings.coarse == "occlusion")


def _grey(picture: NDArray[np.uint8], box: Box, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the brightness of a box, resized to the shape of a map over it."""
    part = cv2.cvtColor(image.crop(picture, box), cv2.COLOR_RGB2GRAY)
    shrinks = shape[1] < part.shape[1] or shape[0] < part.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (shape[1], shape[0]), interpolation=method), np.float64)


def random_network(classifier: Classifier, seed: int) -> Classifier:
    """Return a network of the same architecture with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(classifier.arch, len(classifier.classes))
    return replace(classifier, network=network)
