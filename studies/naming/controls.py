"""What named suggestions have to beat: methods that know less."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Keypoint
from model.naming.examples import labels_of, views
from model.naming.grid import sample
from model.naming.knowledge import taught
from model.naming.learner import NamedPoint
from studies.naming.accuracy import Method
from studies.naming.cases import Case
from studies.naming.learners import named

Suggest = Callable[[Case], Sequence[NamedPoint]]
Places = NDArray[np.float64]


def _suggestions(case: Case, labels: Sequence[str], places: Places) -> list[NamedPoint]:
    """Return points at (L, 2) unit coordinates; none for NaN."""
    positions = case.example.features.frame.to_image(places)
    return [
        NamedPoint(label, float(x), float(y), 0.5, 0.5)
        for label, (x, y) in zip(labels, positions, strict=True)
        if np.isfinite(x)
    ]


def _layouts(cases: Sequence[Case], labels: Sequence[str]) -> Places:
    """Return (N, L, 2) layouts of the images as they are."""
    return np.array([taught(next(views(case.example)), labels).layout for case in cases])


def mean_position(cases: Sequence[Case]) -> Suggest:
    """Place each label at its mean position in the frame."""
    labels = labels_of([case.example for case in cases])
    layouts = _layouts(cases, labels)
    count = np.isfinite(layouts[..., :1]).sum(axis=0)
    mean = np.nansum(layouts, axis=0) / np.maximum(count, 1)
    return lambda case: _suggestions(case, labels, mean)


def nearest_layout(cases: Sequence[Case]) -> Suggest:
    """Copy the layout of the corrected image whose features, cell by cell, are most similar."""
    labels = labels_of([case.example for case in cases])
    layouts = _layouts(cases, labels)
    known = np.stack([_direction(case) for case in cases])
    return lambda case: _suggestions(case, labels, layouts[(known @ _direction(case)).argmax()])


def _direction(case: Case) -> NDArray[np.float32]:
    values = case.example.features.seen.astype(np.float32).ravel()
    return np.asarray(values / np.linalg.norm(values), np.float32)


def detected_points(unnamed: Mapping[str, Sequence[Keypoint]]) -> Method:
    """Give each label the detector's point that is most similar to the label's mean features.

    Args:
        unnamed: name of an image → the detector's points.
    """

    def method(cases: Sequence[Case]) -> Suggest:
        labels = labels_of([case.example for case in cases])
        parts = [taught(next(views(case.example)), labels) for case in cases]
        found = np.full((len(parts), len(labels), parts[0].descriptors.shape[-1]), np.nan)
        for each, part in zip(found, parts, strict=True):
            each[part.found] = part.descriptors[:, 0]
        count = np.isfinite(found[..., :1]).sum(axis=0)
        prototypes = np.nansum(found, axis=0) / np.maximum(count, 1)
        return lambda case: _named_by(prototypes, labels, case, unnamed[case.example.name])

    return method


def _named_by(
    prototypes: NDArray[np.float64], labels: Sequence[str], case: Case, points: Sequence[Keypoint]
) -> list[NamedPoint]:
    if not points:
        return []
    features = case.example.features
    places = features.frame.to_unit(np.array([(point.x, point.y) for point in points]))
    seen = sample(features.seen.astype(np.float32), places)
    lengths = np.linalg.norm(seen, axis=1)[:, None] * np.linalg.norm(prototypes, axis=1)
    similarity = seen @ prototypes.T / np.maximum(lengths, 1e-6)
    return _suggestions(case, labels, places[similarity.argmax(axis=0)])


def with_features_of(others: Mapping[str, Case]) -> Method:
    """The method itself, on other features of the same images.

    Args:
        others: name of an image → the case with the other features.
    """

    def method(cases: Sequence[Case]) -> Suggest:
        suggest = named([others[case.example.name] for case in cases])
        return lambda case: suggest(others[case.example.name])

    return method
