"""Whether descriptors at keypoints fall into groups that mean the same landmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
)

from model import image
from model.maps.class_activation import RecordedReLUs
from model.networks import Classifier
from studies.evaluation.datasets import Annotated
from studies.evaluation.metrics import mutual_nearest
from studies.evaluation.rankings import Points

RADIUS = 0.05  # within which a keypoint may take a landmark's name


class TooFew(ValueError):
    """There are fewer different descriptors than clusters to part them into."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well clusters and landmark names agree; 0 is chance for AMI and ARI, 1 is perfect."""

    ami: float
    nmi: float
    ari: float


def features(
    classifier: Classifier, picture: NDArray[np.uint8], area: Annotated, stride: int = 16
) -> NDArray[np.float64]:
    """L2-normalised activations (C, h, w) of the last ReLU layer with about this stride."""
    box = image.clip_box(area.box, picture.shape[1], picture.shape[0])
    square, _ = image.to_square(picture, box, classifier.input_size, "squash")
    pixels = image.to_tensor(square, classifier.mean, classifier.std)
    with torch.no_grad(), RecordedReLUs() as recorded:
        classifier.network(pixels[None])
    rows = classifier.input_size / stride
    maps = [part[0] for part in recorded.outputs if part.ndim == 4 and part.shape[2] > 1]
    # The classifier's own output says which class it is, not which part.
    maps = [part for part in maps if part.shape[0] != len(classifier.classes)]
    nearest = min(maps, key=lambda part: abs(np.log2(part.shape[1] / rows))).shape[1]
    last = [part for part in maps if part.shape[1] == nearest][-1]
    return np.asarray(torch.nn.functional.normalize(last, dim=0).double().numpy())


def at_points(maps: NDArray[np.float64], points: Points, area: Annotated) -> NDArray[np.float64]:
    """Descriptors (N, C) of the cells of maps (C, h, w) over the object's box."""
    _, height, width = maps.shape
    corner = np.array([area.box.left - 0.5, area.box.top - 0.5])
    share = (points - corner) / [area.box.width, area.box.height]
    columns, rows = np.clip(share * [width, height], 0, [width - 1, height - 1]).astype(int).T
    return np.asarray(maps[:, rows, columns].T)


def cluster_agreement(
    classifier: Classifier,
    images: Sequence[Annotated],
    pictures: Sequence[NDArray[np.uint8]],
    found: Sequence[Points],
    *,
    clusters: int,
    seed: int,
) -> Mapping[str, Agreement]:
    """k-means over descriptors against the landmarks that the keypoints are mutual nearest to.

    Keypoints without a landmark within `RADIUS` are clustered but do not count. Beside the
    descriptors stand two controls: k-means of the position within the box alone, and k-means
    fitted on all cells of the features, keypoint or not.

    Returns:
        "descriptors", "position", "dense descriptors" → agreement.

    Raises:
        TooFew: there are fewer different descriptors at the keypoints than clusters.
    """
    descriptors, places, dense, names, chosen = [], [], [], [], []
    count = 0
    for area, picture, points in zip(images, pictures, found, strict=True):
        maps = features(classifier, picture, area)
        descriptors.append(at_points(maps, points, area))
        places.append((points - [area.box.left, area.box.top]) / [area.box.width, area.box.height])
        dense.append(maps.reshape(len(maps), -1).T)
        for point, landmark in mutual_nearest(points, area.landmarks, RADIUS * area.length):
            chosen.append(count + int(point))
            names.append(area.names[landmark])
        count += len(points)
    at_keypoints = np.concatenate(descriptors)
    different = len(np.unique(at_keypoints, axis=0))
    if different < clusters:
        raise TooFew(f"expected at least {clusters} different descriptors, got {different}")

    def fitted(values: NDArray[np.float64]) -> KMeans:
        return KMeans(clusters, n_init=4, random_state=seed).fit(values)

    labels = {
        "descriptors": fitted(at_keypoints).labels_,
        "position": fitted(np.concatenate(places)).labels_,
        "dense descriptors": fitted(np.concatenate(dense)).predict(at_keypoints),
    }
    return {
        name: Agreement(
            adjusted_mutual_info_score(names, label[chosen]),
            normalized_mutual_info_score(names, label[chosen]),
            adjusted_rand_score(names, label[chosen]),
        )
        for name, label in labels.items()
    }
