from dataclasses import replace

import numpy as np
import pytest
import torch
from test_learning_training import QUICK, shapes
from torch import nn

from model.learning.accuracy import Accuracy
from model.learning.training import train
from model.learning.validation import validation_accuracy
from model.networks import Classifier

pytestmark = pytest.mark.usefixtures("one_thread")


class Always(nn.Module):
    """Predicts the same class for every image."""

    def __init__(self, number: int, classes: int) -> None:
        super().__init__()
        self.logits = nn.functional.one_hot(torch.tensor(number), classes).float()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1)


def always(name: str, classes: tuple[str, ...]) -> Classifier:
    half = (0.5, 0.5, 0.5)
    network = Always(classes.index(name), len(classes))
    return Classifier(network, "small", classes, 32, half, half)


@pytest.mark.parametrize("by_content", [False, True])
def test_the_accuracy_is_the_one_that_training_reports(by_content):
    settings = replace(QUICK, split_by_content=by_content)
    trained = train(shapes(40), settings=settings)
    found = validation_accuracy(trained.classifier, shapes(40), settings)
    assert found == trained.best.accuracy


@pytest.mark.parametrize("name", ["disc", "bar"])
def test_a_constant_classifier_is_right_as_often_as_its_class_occurs(name):
    classes = ("disc", "bar", "something else")
    assert validation_accuracy(always(name, classes), shapes(40), QUICK) == Accuracy(0.5, 0.5)


def test_other_classes_count_as_wrong():
    classes = ("disc", "something else", "bar")
    rival = always("something else", classes)
    assert validation_accuracy(rival, shapes(40), QUICK) == Accuracy(0.0, 0.0)


def test_a_classifier_that_lacks_a_class_is_not_compared():
    assert validation_accuracy(always("disc", ("disc", "star")), shapes(40), QUICK) is None


def test_the_images_are_those_that_the_training_did_not_learn():
    """Of two images of a class, one is for validation; the seed chooses the same one for both."""
    seen = []

    class Sees(Always):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.numpy().copy())
            return super().forward(images)

    network = Sees(0, 2)
    rival = replace(always("disc", ("disc", "bar")), network=network)
    for seed in (0, 1, 2, 3):
        validation_accuracy(rival, shapes(4), replace(QUICK, seed=seed))
    assert {len(images) for images in seen} == {2}
    assert len({np.round(images, 3).tobytes() for images in seen}) > 1
