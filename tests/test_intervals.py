"""The percentile bootstrap over images."""

import numpy as np
import pytest

from model.intervals import percentile_interval, times_drawn


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


def test_an_interval_ends_at_quantiles_of_the_draws():
    assert percentile_interval(np.arange(201.0), (0.025, 0.975)) == (5.0, 195.0)
