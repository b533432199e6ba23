"""Figures in running text."""

import pytest

from backend.agreement.clustered import WILSON, Estimate
from backend.agreement.wording import (
    enumerate_names,
    number_with_interval,
    percent_with_interval,
    points_with_interval,
)


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 100, 10, WILSON)


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.72, 0.641, 0.793), "72 % (64 to 79 %)"),
        ((0.02, 0.004, 0.031), "2.0 % (0.4 to 3.1 %)"),
        ((0.991, 0.982, 0.9996), "99.10 % (98.20 to 99.96 %)"),
        ((0.5, 0.499, 0.502), "50.0 % (49.9 to 50.2 %)"),
        ((1.0, 0.93, 1.0), "100 % (93 to 100 %)"),
        ((0.0, 0.0, 0.07), "0 % (0 to 7 %)"),
    ],
)
def test_rounding_never_reaches_an_end_that_the_interval_does_not(ends, text):
    assert percent_with_interval(estimate(*ends)) == text


def test_a_difference_that_excludes_0_never_reads_0():
    assert points_with_interval(estimate(0.05, 0.003, 0.1)) == "5.0 points (0.3 to 10.0)"
    assert points_with_interval(estimate(-0.001, -0.05, 0.04)) == "-0.1 points (-5.0 to 4.0)"
    found = number_with_interval(estimate(1234.5, 900.2, 1500), "s")
    assert found == "1,234 s (900 to 1,500)"


def test_names_are_enumerated():
    assert enumerate_names(["1"]) == "1"
    assert enumerate_names(["1", "2", "7 more"]) == "1, 2 and 7 more"
