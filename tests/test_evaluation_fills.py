"""How alike occlusion maps are under different random fills."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.keypoint import Box
from model.networks import IMAGENET_MEAN, IMAGENET_STD, Classifier, build_network
from model.settings import POSTER
from studies.evaluation.datasets import Annotated
from studies.evaluation.fills import spread_over_fills

SETTINGS = replace(POSTER, input_size=64)


@pytest.fixture
def classifier():
    torch.manual_seed(1)
    network = build_network("small", 2)
    return Classifier(network, "small", ("a", "b"), 64, IMAGENET_MEAN, IMAGENET_STD)


def spread_of(classifier):
    picture = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8)
    box = Box(8, 8, 64, 48)
    area = Annotated(Path("a.png"), "a.png", "a", box, (), np.zeros((0, 2)))
    return spread_over_fills(classifier, SETTINGS, [area], [picture], draws=10, seed=0)


def test_fills_change_the_map_of_a_network_that_looks_at_the_image(classifier):
    found = spread_of(classifier)
    assert -1 <= found["correlation"].mean < 1
    assert 0 < found["coarse points"].mean < 1
    assert 0 < found["points"].mean <= 1


def test_fills_change_nothing_where_the_network_does_not_look_at_the_image(classifier):
    with torch.no_grad():
        for value in classifier.network.parameters():
            value.zero_()
    found = spread_of(classifier)
    assert found["correlation"].mean == 1
    assert found["coarse points"].mean == found["points"].mean == 0  # a flat map has no peaks
