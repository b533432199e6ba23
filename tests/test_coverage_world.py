"""Worlds have the sizes, shares and correlations that they say."""

import numpy as np
import pytest

from studies.coverage.world import World


def test_a_world_has_the_correlation_that_it_says():
    won, tried = World(np.random.default_rng(1), 20_000, 0.3, "12").successes(0.6)
    chances = won * (won - 1) / (tried * (tried - 1))
    assert (chances.mean() - 0.36) / 0.24 == pytest.approx(0.3, abs=0.02)
    assert (tried == 12).all()
    points = World(np.random.default_rng(1), 20_000, 0.3, "1 to 23").points()
    assert (points.min(), points.max()) == (1, 23)
    assert points.mean() == pytest.approx(12, abs=0.2)


def test_numbers_of_an_image_are_as_alike_as_the_world_says():
    world = World(np.random.default_rng(2), 20_000, 0.4, "12")
    first, second = world.alike(np.repeat(np.arange(20_000), 2)).reshape(-1, 2).T
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.4, abs=0.02)
    assert first.std() == pytest.approx(1, abs=0.02)


def test_each_image_may_have_a_chance_of_its_own():
    world = World(np.random.default_rng(3), 20_000, 0.2, "12")
    means = np.repeat([0.3, 0.8], 10_000)
    chances = world.chances(means).reshape(2, -1)
    assert chances.mean(axis=1) == pytest.approx([0.3, 0.8], abs=0.01)
    assert chances.var(axis=1) == pytest.approx([0.2 * 0.21, 0.2 * 0.16], rel=0.05)
    alike = World(np.random.default_rng(3), 20_000, 0.0, "12")
    assert (alike.chances(means) == means).all()
