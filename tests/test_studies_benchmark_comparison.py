"""The comparison's figures are what they say, on a network that takes no time."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from studies import benchmark_comparison as comparison
from studies import benchmark_methods
from studies.benchmark_methods import Outcome, Task


def test_a_failed_process_is_named_with_its_message():
    with pytest.raises(ChildProcessError, match="no-such-network"):
        comparison.in_process(Task(arch="no-such-network", method="dense"))


def test_each_process_gives_back_what_it_measured():
    outcome = comparison.in_process(Task(arch="small", method="peak"))
    assert outcome.tera_operations > 0


def test_rank_correlation_is_spearmans():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(9, 9))
    others = values + generator.normal(size=(9, 9))
    expected = spearmanr(values.ravel(), others.ravel()).statistic
    assert comparison.rank_correlation(others, values) == pytest.approx(expected)


def test_the_ratio_is_the_median_of_each_round_against_its_own():
    slow = [Outcome(10), Outcome(40), Outcome(12)]
    fast = [Outcome(1), Outcome(8), Outcome(2)]
    assert comparison.ratio(slow, fast) == 6


def test_a_method_that_ran_once_counts_in_every_round():
    assert comparison.ratio([Outcome(12)], [Outcome(2), Outcome(4), Outcome(3)]) == 4


def test_what_is_slow_runs_in_the_first_round_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(comparison, "in_process", benchmark_methods.run_task)
    monkeypatch.setattr(benchmark_methods, "SIDE", 64)
    monkeypatch.setattr(comparison, "SLOW", 0)
    others = ["captum", "small:incremental", "onnxruntime", "openvino"]
    (dense,) = comparison.compare(Task(arch="small", method="dense"), 2, leave_out=others)
    assert (dense.method, dense.rounds) == ("dense", 1)


def test_points_are_the_same_where_the_pixels_are():
    points = [[row, row] for row in range(30)]
    all_but_two = [[1, 0], [0, 1], *points[:18]]
    assert comparison.same_points(Outcome(1, points=points), Outcome(1, points=points)) == 1
    assert comparison.same_points(Outcome(1, points=all_but_two), Outcome(1, points=points)) == 0.9
