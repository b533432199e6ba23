from dataclasses import replace

import numpy as np
import pytest
import torch
from test_learning_training import QUICK, shapes
from torch import nn

from model.learning.training import train
from model.learning.validation import validation_accuracy
from model.networks import Classifier

pytestmark = pytest.mark.usefixtures("one_thread")


class Always(nn.Module):
    """Sees the same class everywhere."""

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
def test_a_trained_network_gets_right_what_its_training_says(by_content):
    settings = replace(QUICK, split_by_content=by_content)
    trained = train(shapes(40), settings=settings)
    found = validation_accuracy(trained.classifier, shapes(40), settings)
    assert found == trained.best.validation_accuracy


@pytest.mark.parametrize("name", ["disc", "bar"])
def test_who_always_says_the_same_is_right_as_often_as_it_is_so(name):
    classes = ("disc", "bar", "something else")
    assert validation_accuracy(always(name, classes), shapes(40), QUICK) == 0.5


def test_other_classes_count_as_wrong():
    classes = ("disc", "something else", "bar")
    rival = always("something else", classes)
    assert validation_accuracy(rival, shapes(40), QUICK) == 0.0


def test_who_does_not_know_a_class_is_not_compared():
    assert validation_accuracy(always("disc", ("disc", "star")), shapes(40), QUICK) is None


def test_the_images_are_those_that_the_training_did_not_learn():
    """With two images of a class, one of them checks: which one, the seed says for both alike."""
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
