"""The percentile bootstrap over images."""

import numpy as np
import pytest

from model.intervals import drawn_ratios, percentile_interval, random_clusters, times_drawn


def test_as_many_images_are_drawn_as_there_are_in_every_draw():
    times = times_drawn(7, 50, seed=1)
    assert times.shape == (50, 7)
    assert (times.sum(axis=1) == 7).all()
    assert times.mean() == pytest.approx(1)


def test_draws_depend_on_the_seed_alone_and_cannot_be_changed():
    assert (times_drawn(7, 50, seed=1) == times_drawn(7, 50, seed=1).copy()).all()
    assert (times_drawn(7, 50, seed=1) != times_drawn(7, 50, seed=2)).any()
    with pytest.raises(ValueError, match="read-only"):
        times_drawn(7, 50, seed=1)[0, 0] = 9


def test_nothing_to_draw_from_is_refused():
    with pytest.raises(ValueError, match="at least one image to draw from, got 0"):
        times_drawn(0, 10, seed=1)


def test_images_are_clusters_of_their_own_until_there_are_too_many():
    assert sorted(random_clusters(5, 10, seed=1).tolist()) == [0, 1, 2, 3, 4]
    assert np.bincount(random_clusters(25, 10, seed=1)).tolist() == [3] * 5 + [2] * 5
    assert len(random_clusters(0, 10, seed=1)) == 0


def test_ratios_are_of_the_drawn_sums_and_draws_of_nothing_are_left_out():
    times = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    ratios = drawn_ratios(times, np.array([1.0, 0.0]), np.array([4.0, 0.0]))
    assert ratios.tolist() == [0.25, 0.25]


def test_an_interval_ends_at_quantiles_of_the_draws():
    assert percentile_interval(np.arange(201.0), (0.025, 0.975)) == (5.0, 195.0)
