"""The protocol's numbers, by hand and in general."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.evaluation import metrics

LANDMARKS = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0], [30.0, 0.0]])
# Right, right again, wrong, right: on the first landmark twice, nowhere, on the third.
FOUND = np.array([[0.0, 1.0], [1.0, 0.0], [15.0, 9.0], [20.0, 1.0]])


def test_the_numbers_of_a_case_worked_by_hand():
    assert metrics.precision(FOUND, LANDMARKS, 2, slots=4) == 3 / 4
    assert metrics.coverage(FOUND, LANDMARKS, 2) == 2 / 4
    assert metrics.one_to_one_f1(FOUND, LANDMARKS, 2, slots=4) == 2 * 2 / (4 + 4)
    assert metrics.average_precision(FOUND, LANDMARKS, 2) == (1 / 1 + 2 / 4) / 4
    assert metrics.mutual_nearest(FOUND[1:], LANDMARKS, 2).tolist() == [[0, 0], [2, 2]]


def test_missing_slots_are_misses():
    assert metrics.precision(FOUND, LANDMARKS, 2, slots=10) == 3 / 10
    assert metrics.one_to_one_f1(FOUND, LANDMARKS, 2, slots=10) == 2 * 2 / (10 + 4)


def test_nothing_found_is_zero_everywhere():
    none = np.empty((0, 2))
    assert metrics.precision(none, LANDMARKS, 2, slots=10) == 0
    assert metrics.coverage(none, LANDMARKS, 2) == 0
    assert metrics.one_to_one_f1(none, LANDMARKS, 2, slots=10) == 0
    assert metrics.average_precision(none, LANDMARKS, 2) == 0
    assert len(metrics.mutual_nearest(none, LANDMARKS, 2)) == 0


def test_more_detections_than_slots_are_refused():
    with pytest.raises(ValueError, match="at most 3 detections, got 4"):
        metrics.precision(FOUND, LANDMARKS, 2, slots=3)


def test_skill_is_zero_at_chance_and_one_where_all_is_right():
    assert metrics.skill(0.3, 0.3) == 0
    assert metrics.skill(1.0, 0.3) == 1
    assert metrics.skill(0.1, 0.4) == pytest.approx(-0.5)
    assert metrics.skill(1.0, 1.0) == 0


def test_a_perfect_ranking_has_average_precision_one_and_a_late_hit_counts_less():
    assert metrics.average_precision(LANDMARKS, LANDMARKS, 1) == 1
    late = np.concatenate([[[99.0, 99.0]], LANDMARKS])
    expected = np.mean([1 / 2, 2 / 3, 3 / 4, 4 / 5])
    assert metrics.average_precision(late, LANDMARKS, 1) == pytest.approx(expected)


def test_points_found_again_are_counted_one_to_one():
    twice = np.array([[0.0, 0.5], [0.5, 0.0]])
    assert metrics.repeated_share(LANDMARKS, twice, 1, slots=4) == 1 / 4
    assert metrics.repeated_share(LANDMARKS, LANDMARKS, 0, slots=4) == 1


@given(
    seed=st.integers(0, 2**32 - 1),
    found=st.integers(0, 20),
    marks=st.integers(1, 15),
    radius=st.floats(0, 80),
)
def test_doubling_an_image_changes_nothing(seed, found, marks, radius):
    rng = np.random.default_rng(seed)
    detections, landmarks = rng.uniform(0, 100, (found, 2)), rng.uniform(0, 100, (marks, 2))

    def numbers(factor):
        scaled = (detections * factor, landmarks * factor, radius * factor)
        return [
            metrics.precision(*scaled, slots=20),
            metrics.coverage(*scaled),
            metrics.one_to_one_f1(*scaled, slots=20),
            metrics.average_precision(*scaled),
        ]

    assert numbers(1) == numbers(2)
    assert all(0 <= number <= 1 for number in numbers(1))
