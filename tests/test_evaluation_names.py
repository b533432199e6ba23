"""Names and salient landmarks on cases made so that the answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model.keypoint import Box
from model.networks import IMAGENET_MEAN, IMAGENET_STD, Classifier
from studies.evaluation.datasets import Annotated
from studies.evaluation.landmarks import salient_landmarks
from studies.evaluation.names import TooFew, cluster_agreement

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class Colours(nn.Module):
    """Its features are the colours themselves, one cell for each 16 × 16 px."""

    def forward(self, x):
        shrunk = nn.functional.avg_pool2d(torch.relu(x), 16)
        return torch.relu(shrunk).mean(dim=(2, 3))[:, :2]


@pytest.fixture
def classifier():
    return Classifier(Colours(), "colours", ("a", "b"), 64, IMAGENET_MEAN, IMAGENET_STD)


def scenes(count=12):
    """Three coloured cells on black, in another place on every image; the landmarks are theirs."""
    rng = np.random.default_rng(4)
    for number in range(count):
        cells = rng.permutation(16)[:3]
        picture = np.zeros((64, 64, 3), np.uint8)
        centres = []
        for cell, colour in zip(cells, COLOURS.values(), strict=True):
            row, column = divmod(int(cell), 4)
            picture[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = colour
            centres.append([16 * column + 7.5, 16 * row + 7.5])
        yield (
            Annotated(
                Path("none"), str(number), "a", Box(0, 0, 64, 64), tuple(COLOURS), np.array(centres)
            ),
            picture,
        )


def test_descriptors_that_tell_parts_apart_name_them_and_positions_do_not(classifier):
    areas, pictures = zip(*scenes(), strict=True)
    found = [area.landmarks + 1 for area in areas]
    agreement = cluster_agreement(classifier, areas, pictures, found, clusters=3, seed=0)
    assert agreement["descriptors"].ami == pytest.approx(1)
    assert agreement["descriptors"].nmi == agreement["descriptors"].ari == pytest.approx(1)
    assert agreement["position"].ami < 0.5


def test_more_clusters_than_different_descriptors_are_refused(classifier):
    areas, pictures = zip(*scenes(1), strict=True)
    with pytest.raises(TooFew, match="at least 9 different descriptors"):
        cluster_agreement(classifier, areas, pictures, [areas[0].landmarks], clusters=9, seed=0)


def test_a_landmark_that_is_always_hit_where_corners_hit_half_has_a_lift_of_two():
    areas = [area for area, _ in scenes(10)]
    found = [area.landmarks[:2] for area in areas]
    reference = [
        area.landmarks[[0, 1]] if number % 2 else np.full((2, 2), 500.0)
        for number, area in enumerate(areas)
    ]
    table = {
        row.landmark: row for row in salient_landmarks(areas, found, reference, draws=500, seed=0)
    }
    assert table["red"].hit == table["red"].visible == 10
    assert table["red"].lift.mean == pytest.approx(2)
    assert table["red"].lift.low < 2 < table["red"].lift.high
    assert table["blue"].hit == 0 and table["red"].nearest == 10
