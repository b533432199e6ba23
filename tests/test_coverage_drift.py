"""Power of the tests for drift; their false alarms are among all figures."""

import numpy as np
import pytest

from studies.coverage.counting import cover
from studies.coverage.drift import FIGURES, judged
from studies.coverage.world import World

[_, _, TREND, _, _, CHANGE] = FIGURES


@pytest.mark.parametrize("figure", [TREND, CHANGE], ids=lambda each: each.name)
def test_a_fall_by_25_points_in_200_images_is_found(figure):
    assert "25 points: found" in figure.name
    assert cover(figure, "12", 0.2, 200, 60, seed=1).covered > 0.85


def test_acceptance_falls_evenly_or_at_once():
    world = World(np.random.default_rng(1), 20_000, 0.0, "12")
    evenly, at_once = (judged(world, 0.25, at_once=each) for each in (False, True))

    def share(found, part: slice) -> float:
        return found.accepted[part].sum() / found.suggested[part].sum()

    first, last = slice(None, 1000), slice(-1000, None)
    assert share(evenly, first) == pytest.approx(0.75, abs=0.02)
    assert share(evenly, last) == pytest.approx(0.5, abs=0.02)
    assert share(at_once, slice(None, 12_000)) == pytest.approx(0.75, abs=0.01)
    assert share(at_once, slice(12_000, None)) == pytest.approx(0.5, abs=0.01)
