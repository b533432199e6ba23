"""An annotator places one point after the other: what was seen of the object is kept."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from backend.suggestions.seen_object import SeenObject
from model.keypoint import Box, Detection
from model.naming.features import FeatureExtractor
from model.networks import SMALL, Classifier, build_network

pytestmark = pytest.mark.usefixtures("one_thread")
PICTURE = np.zeros((96, 96, 3), np.uint8)
PART = Box(20, 20, 40, 40)


class Scene:
    """An object whose picture was fetched once, and let go."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        half = (0.5, 0.5, 0.5)
        classifier = Classifier(build_network(SMALL, 2), SMALL, ("bus", "van"), 64, half, half)
        self.fetched = 0
        self.seen = SeenObject(
            FeatureExtractor(classifier, "weights"),
            self.fetch,
            PICTURE,
            Detection("", 0.0, (), 96, 96, Box(0, 0, 96, 96)),
            None,
            None,
        )

    def fetch(self) -> NDArray[np.uint8]:
        self.fetched += 1
        return PICTURE


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.seen.looks.whole()
    scene.seen.looks.part(PART)
    scene.seen.let_go()
    assert scene.fetched == 0
    return scene


@pytest.mark.parametrize("box", [PART, Box(22, 18, 41, 42)])
def test_a_part_that_hardly_moved_is_not_looked_at_again(scene: Scene, box: Box) -> None:
    before = scene.seen.looks.part(PART)
    assert scene.seen.looks.part(box) is before
    scene.seen.looks.whole()
    assert scene.fetched == 0


@pytest.mark.parametrize("box", [Box(50, 50, 40, 40), Box(30, 30, 20, 20), None])
def test_another_part_is_looked_at_on_the_picture(scene: Scene, box: Box | None) -> None:
    found = scene.seen.looks.part(box)
    assert scene.fetched == 1
    assert found.frame.boxed == (box is not None)
    assert scene.seen.looks.part(box) is found
