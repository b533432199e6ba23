"""Agreement between clusters of descriptors at keypoints and the names of landmarks."""

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
from model.keypoint import edge_to_centre
from model.maps.class_activation import RecordedReLUs
from model.networks import Classifier
from studies.evaluation.datasets import Annotated
from studies.evaluation.metrics import mutual_nearest
from studies.evaluation.rankings import Points

# A keypoint may take a landmark's name within this distance, as a share of the box's longer side.
RADIUS = 0.05


class TooFew(ValueError):
    """There are fewer distinct descriptors than clusters."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of clusters with landmark names; 1 is perfect, 0 is chance for AMI and ARI."""

    ami: float
    nmi: float
    ari: float


def features(
    classifier: Classifier, picture: NDArray[np.uint8], area: Annotated, stride: int = 16
) -> NDArray[np.float64]:
    """Return L2-normalised activations (C, h, w) of the last ReLU layer of about this stride."""
    box = image.clip_box(area.box, picture.shape[1], picture.shape[0])
    square, _ = image.to_square(picture, box, classifier.input_size, "squash")
    pixels = image.to_tensor(square, classifier.mean, classifier.std)
    with torch.no_grad(), RecordedReLUs() as recorded:
        classifier.network(pixels[None])
    rows = classifier.input_size / stride
    maps = [part[0] for part in recorded.outputs if part.ndim == 4 and part.shape[2] > 1]
    # A map with one channel per class distinguishes classes, not parts.
    maps = [part for part in maps if part.shape[0] != len(classifier.classes)]
    nearest = min(maps, key=lambda part: abs(np.log2(part.shape[1] / rows))).shape[1]
    last = [part for part in maps if part.shape[1] == nearest][-1]
    return np.asarray(torch.nn.functional.normalize(last, dim=0).double().numpy())


def at_points(maps: NDArray[np.float64], points: Points, area: Annotated) -> NDArray[np.float64]:
    """Return the descriptor (N, C) at each point, from maps (C, h, w) over the object's box."""
    _, height, width = maps.shape
    corner = edge_to_centre(np.array([area.box.left, area.box.top]))
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
    """Cluster descriptors by k-means and compare the clusters with names of landmarks.

    A keypoint has the name of its mutual nearest landmark. Keypoints without a landmark within
    `RADIUS` are clustered but not compared. There are two controls: k-means of the position within
    the box alone, and k-means fitted on all cells of the features, with or without a keypoint.

    Args:
        found: (N, 2), keypoints of each image, px.
        clusters: number of clusters.
        seed: seed of k-means.

    Returns:
        "descriptors", "position", "dense descriptors" → agreement.

    Raises:
        TooFew: there are fewer distinct descriptors at the keypoints than clusters.
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
