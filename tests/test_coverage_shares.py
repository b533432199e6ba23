"""Where the textbook's interval of a share is too narrow, ours is not."""

import math

from studies.coverage.counting import cover
from studies.coverage.figure import Figure, constant
from studies.coverage.shares import EXTREME, share_of

WORLDS = 1200


def error_of(share: float) -> float:
    """Three standard errors of a share of the worlds."""
    return 3 * math.sqrt(share * (1 - share) / WORLDS)


def test_an_extreme_share_in_20_images_is_covered_where_the_textbooks_interval_is_not():
    found = cover(EXTREME, "12", 0.4, 20, WORLDS, seed=1)
    assert found.textbook < 0.92 - error_of(0.92)
    assert 0.92 - error_of(0.92) <= found.covered <= 0.98 + error_of(0.98)


def test_an_interval_that_ignores_images_holds_the_truth_far_less_often():
    found = cover(Figure("", constant(0.5), share_of(0.5)), "12", 0.4, 50, 400, seed=1)
    assert found.unclustered < 0.7
