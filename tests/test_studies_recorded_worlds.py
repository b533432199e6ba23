"""Worlds whose annotations the backend's own recorder judges."""

import numpy as np
import pytest

from studies.recorded_worlds import ANNOTATORS, Drawn, recorded_coverage, table, truths

NAMES = list(truths())


def test_the_report_gives_the_intervals_of_what_was_drawn_and_they_hold_the_truth():
    """Raw annotations of images of several sizes, by several people, about several labels."""
    found = {each.figure: each for each in recorded_coverage(12, 12, 0.2, seed=3)}
    assert list(found) == NAMES
    for each in found.values():
        assert each.largest_difference < 1e-6, each
        assert each.covered == each.direct
    assert min(found[name].covered for name in NAMES if found[name].given >= 10) >= 9 / 12
    lines = list(table(found.values()))
    assert lines[2].startswith("| acceptance | 12 | ")


def test_the_truth_is_the_figure_of_very_many_images():
    drawn = Drawn.of(np.random.default_rng(1), 20_000, 0.2)
    for name, estimate in drawn.estimates().items():
        assert estimate.value == pytest.approx(truths()[name], rel=0.02), name
    assert set(drawn.annotator.tolist()) == set(range(1, ANNOTATORS + 1))
    width, height = drawn.size.T
    assert (width > height).any() and (width < height).any()


def test_an_interval_that_misses_the_truth_counts_as_missing_it():
    """A world's acceptance is compared with the truth, not with itself."""
    drawn = Drawn.of(np.random.default_rng(1), 400, 0.0)
    estimate = drawn.estimates()["acceptance"]
    assert estimate.low is not None and estimate.high is not None
    assert estimate.high - estimate.low < 0.05
    assert not estimate.low <= truths()["acceptance"] + 0.1 <= estimate.high
