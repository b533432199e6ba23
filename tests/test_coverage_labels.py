"""The true α and κ, and the labels that two annotators give."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from studies.coverage.labels import ERRORS, SHARES, meetings, truth
from studies.coverage.world import World


@pytest.mark.parametrize("errors", ERRORS)
@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_the_true_kappa_is_that_of_very_many_tasks(errors, correlation):
    met = meetings(World(np.random.default_rng(1), 5000, correlation, "12"), errors)
    first, second = np.array([both for each in met for both in each.labels]).T
    expected = cohen_kappa_score(first, second)
    assert truth(errors)(correlation) == pytest.approx(expected, abs=0.015)
    shares = [np.mean(first == label) for label in ("beak", "tail", "wing")]
    assert shares == pytest.approx(SHARES, abs=0.02)


def test_labels_of_one_task_are_alike_in_a_world_that_says_so():
    def alike(correlation: float) -> float:
        met = meetings(World(np.random.default_rng(2), 2000, correlation, "12"), 0.0)
        return float(np.mean([len({first for first, _ in each.labels}) for each in met]))

    assert alike(0.4) < alike(0.0) - 0.3
