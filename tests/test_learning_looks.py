"""What is looked at on an image: the rectangle, or all of it and then where the object is."""

import numpy as np
import pytest
import torch

from backend.learning.looks import describe_example, look_closely, looks_at
from model.keypoint import Box
from model.naming.examples import Example
from model.naming.features import GRID, ExampleFeatures, FeatureExtractor
from model.naming.learner import NamingModel, fit
from model.naming.object_box import object_box
from model.naming.whole_image import found_box
from model.networks import SMALL, Classifier, build_network

pytestmark = pytest.mark.usefixtures("one_thread")
PICTURE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
POINTS = {"nose": (30.0, 30.0), "tail": (70.0, 50.0)}


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    torch.manual_seed(0)
    half = (0.5, 0.5, 0.5)
    classifier = Classifier(build_network(SMALL, 2), SMALL, ("bus", "van"), 64, half, half)
    return FeatureExtractor(classifier, "weights")


def features(data: bytes | None) -> ExampleFeatures:
    assert data is not None
    return ExampleFeatures.from_bytes(data)


def never() -> NamingModel:
    raise AssertionError("expected not to look for the object: its rectangle is known")


def test_an_object_in_a_rectangle_is_described_there_alone(extractor: FeatureExtractor) -> None:
    box = Box(20, 10, 60, 50)
    found = describe_example(extractor, PICTURE, box, [*POINTS.values()], never)
    assert found.whole is None
    assert features(found.close).frame == extractor.extract(PICTURE, box).frame


def test_before_anything_is_learnt_the_second_look_is_around_the_points(
    extractor: FeatureExtractor,
) -> None:
    found = describe_example(extractor, PICTURE, None, [*POINTS.values()], lambda: None)
    around = object_box([*POINTS.values()])
    assert features(found.close).frame == extractor.extract(PICTURE, around).frame
    whole = features(found.whole)
    assert whole.frame == extractor.extract(PICTURE, None).frame
    assert whole.seen.shape[0] == GRID // 2


def test_afterwards_it_is_where_the_object_is_found_without_its_points(
    extractor: FeatureExtractor,
) -> None:
    whole = looks_at(extractor, PICTURE, None, None).whole()
    region = fit([Example(whole, POINTS)], rehearsed=0)
    elsewhere = [(100.0, 80.0), (120.0, 90.0)]
    found = describe_example(extractor, PICTURE, None, elsewhere, lambda: region)
    box = found_box(region, whole)
    assert box is not None
    frame = features(found.close).frame
    assert frame == extractor.extract(PICTURE, box).frame
    assert frame != extractor.extract(PICTURE, object_box(elsewhere)).frame


def test_a_part_beside_the_image_is_replaced_by_the_whole_image(
    extractor: FeatureExtractor,
) -> None:
    whole = extractor.extract(PICTURE, None).frame
    assert look_closely(extractor, PICTURE, Box(10, -200, 30, 30)).frame == whole
    assert look_closely(extractor, PICTURE, None).frame == whole
    assert look_closely(extractor, PICTURE, Box(-10, -10, 60, 60)).frame.boxed
