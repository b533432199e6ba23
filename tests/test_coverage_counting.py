"""Counting how often intervals hold the truth and tests say what they should."""

import math

import pytest

from backend.agreement.clustered import Estimate
from studies.coverage.counting import Coverage, cover
from studies.coverage.figure import Drawn, Figure, constant


def figure(*drawn: Drawn, bound: bool = True) -> Figure:
    """A figure whose worlds give these in turn."""
    worlds = iter(drawn)
    return Figure("made", constant(0.5), lambda _: next(worlds), bound=bound)


def interval(low: float | None, high: float | None) -> Drawn:
    return Drawn(Estimate(0.5, low, high, 1, 1, ""), textbook=(0.5, 1.0), unclustered=(0.6, 1.0))


def test_intervals_are_counted_where_there_are_some():
    drawn = [interval(0.4, 0.5), interval(0.6, 0.9), interval(None, None), interval(0.0, 1.0)]
    found = cover(figure(*drawn), "12", 0.0, 10, 4, seed=1)
    assert (found.given, found.covered) == (0.75, pytest.approx(2 / 3))
    assert found.error == pytest.approx(math.sqrt(2 / 9 / 3))
    assert found.width == pytest.approx((0.1 + 0.3 + 1) / 3)
    assert (found.textbook, found.unclustered) == (1, 0)


def test_tests_are_counted_where_there_is_a_p_value():
    drawn = [Drawn(held=True), Drawn(held=False), Drawn(), Drawn(held=True)]
    found = cover(figure(*drawn), "12", 0.0, 10, 4, seed=1)
    assert (found.given, found.covered) == (0.75, pytest.approx(2 / 3))
    assert math.isnan(found.width) and math.isnan(found.textbook)
    nothing = cover(figure(Drawn(), Drawn()), "12", 0.0, 10, 2, seed=1)
    assert (nothing.given, nothing.is_outside) == (0, False)
    assert math.isnan(nothing.covered)


@pytest.mark.parametrize(
    ("covered", "images", "bound", "outside"),
    [
        (0.95, 50, True, False),
        (0.906, 50, True, False),  # within twice its error of 92 %
        (0.89, 50, True, True),
        (0.99, 50, True, False),
        (1.0, 50, True, True),
        (0.5, 5, True, False),
        (0.5, 50, False, False),
    ],
)
def test_what_is_promised_and_missed_is_outside(covered, images, bound, outside):
    row = Coverage(figure(bound=bound), "12", 0.2, images, 1.0, covered, 0.008)
    assert row.is_outside == outside
