"""Landmarks in whole images: first the object, then its landmarks close up."""

import dataclasses

import numpy as np
import pytest
from naming_scene import BIRD, DIMENSIONS, DIRECTIONS, GRID, LABELS

from model.keypoint import Box
from model.naming.examples import Example
from model.naming.features import ExampleFeatures
from model.naming.frame import frame_of
from model.naming.grid import bumps
from model.naming.learner import fit
from model.naming.object_box import object_box
from model.naming.symmetry import mirrored_name
from model.naming.whole_image import WholeImageModel, coarsened, found_box

SIZE = 400  # px, side of the whole image; the bird measures 60 px


def bird(x: float, y: float) -> dict[str, tuple[float, float]]:
    return {label: (left + x, top + y) for label, (left, top) in BIRD.items()}


def seen(points, box: Box | None, seed: int) -> ExampleFeatures:
    """Return features of a whole image, or of a part of it: each label shines over 6 px."""
    frame = frame_of(box, SIZE, SIZE)
    random = np.random.RandomState(seed)
    maps = []
    for mirrored in (False, True):
        values = 0.3 * random.standard_normal((GRID, GRID, DIMENSIONS))
        for label, point in points.items():
            x, y = frame.to_unit(np.array(point))
            name = mirrored_name(label) if mirrored else label
            place = np.array([[1 - x if mirrored else x, y]])
            width = max(6 / frame.side, 0.5 / GRID)
            values += 3 * bumps(place, GRID, width)[0][..., None] * DIRECTIONS[LABELS.index(name)]
        maps.append(values.astype(np.float16))
    return ExampleFeatures("planted", frame, *maps)


def taught(count: int) -> WholeImageModel:
    random = np.random.RandomState(3)
    whole, close = [], []
    for seed in range(count):
        points = bird(*random.uniform(0, SIZE - 100, 2))
        example = Example(seen(points, None, seed), points, frozenset(LABELS) - points.keys())
        whole.append(dataclasses.replace(example, features=coarsened(example.features)))
        box = object_box(list(points.values()))
        close.append(dataclasses.replace(example, features=seen(points, box, seed)))
    return WholeImageModel(fit(whole, rehearsed=0), fit(close))


@pytest.fixture(scope="module")
def model() -> WholeImageModel:
    return taught(8)


def test_landmarks_of_a_small_object_are_found_more_exactly_than_in_the_whole_image(model):
    points = bird(290.0, 35.0)
    whole = coarsened(seen(points, None, 50))
    found = model.predict(whole, lambda box: seen(points, box, 51))
    places = {point.label: (point.x, point.y) for point in found}
    away = [np.hypot(*np.subtract(places[label], point)) for label, point in points.items()]
    assert max(away) < 5


def test_the_object_is_found_where_it_is(model):
    points = bird(200.0, 280.0)
    box = found_box(model.region, coarsened(seen(points, None, 60)))
    true = object_box(list(points.values()))
    assert box is not None
    centre, expected = (
        (each.left + each.width / 2, each.top + each.height / 2) for each in (box, true)
    )
    assert np.hypot(*np.subtract(centre, expected)) < 20
    assert 0.6 < box.width / true.width < 1.7


def test_given_points_say_where_the_object_is(model):
    """Nothing to see in the image: only the points that somebody has placed."""
    points = bird(150.0, 150.0)
    given = {"beak": points["beak"], "tail": points["tail"]}
    box = found_box(model.region, coarsened(seen({}, None, 70)), given)
    assert box is not None
    for x, y in given.values():
        assert box.left < x < box.left + box.width
        assert box.top < y < box.top + box.height


def test_coarsened_features_are_the_means_of_four_cells():
    features = seen(bird(10.0, 10.0), None, 1)
    halved = coarsened(features)
    assert halved.seen.shape == (GRID // 2, GRID // 2, DIMENSIONS)
    expected = features.seen[:2, 2:4].astype(np.float32).mean(axis=(0, 1))
    np.testing.assert_allclose(halved.seen[0, 1], expected, atol=2e-3)
    assert (halved.key, halved.frame) == (features.key, features.frame)
    assert len(halved.to_bytes()) < len(features.to_bytes()) / 2


def test_without_any_landmark_found_nothing_is_suggested():
    points = {"beak": (30.0, 30.0)}
    lone = Example(seen(points, None, 1), points)
    model = fit([dataclasses.replace(lone, features=coarsened(lone.features))], rehearsed=0)
    assert found_box(model, coarsened(seen(points, None, 2))) is None

    def look(box: Box) -> ExampleFeatures:
        raise AssertionError(f"expected not to look at {box}")

    assert WholeImageModel(model, model).predict(coarsened(seen(points, None, 2)), look) == []
