"""The usual visibility of a label is suggested only where it is sure to save work."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from model.keypoint import Visibility
from model.naming.visibility import usual_visibility, wilson_lower

Said = Visibility | None


def examples(**said: list[Said]) -> list[tuple[list[str], dict[str, Visibility]]]:
    """Objects with one point of one label each."""
    return [
        ([label], {label: each} if each else {}) for label, some in said.items() for each in some
    ]


def test_four_points_of_one_mind_are_enough_and_three_are_not() -> None:
    found = usual_visibility(
        examples(tail=["occluded"] * 4, nose=["occluded"] * 3, ear=["visible"] * 5)
    )
    assert found == {"tail": "occluded", "ear": "visible"}


def test_a_project_that_marks_occluded_points_alone_gets_no_visible_ones() -> None:
    assert usual_visibility(examples(tail=[None] * 50 + ["occluded"] * 5)) == {}


@pytest.mark.parametrize(("occluded", "visible", "usual"), [(59, 41, None), (60, 40, "occluded")])
def test_a_small_majority_is_not_sure(occluded: int, visible: int, usual: str | None) -> None:
    said: list[Said] = [*["occluded"] * occluded, *["visible"] * visible]  # type: ignore[list-item]
    assert usual_visibility(examples(tail=said)).get("tail") == usual


def test_what_was_said_about_a_label_without_a_point_does_not_count() -> None:
    assert usual_visibility([(["nose"], {"tail": "occluded"})] * 9) == {}
    assert usual_visibility([]) == {}


def test_labels_may_be_those_of_places() -> None:
    assert usual_visibility([({"nose": (1.0, 2.0)}, {"nose": "visible"})] * 4) == {
        "nose": "visible"
    }


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_interval_is_wilsons(count: int, others: int) -> None:
    total = count + others
    if total == 0:
        return
    expected = binomtest(count, total).proportion_ci(method="wilson").low
    assert wilson_lower(count, total) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.sampled_from([None, "visible", "occluded"]), max_size=40))
def test_at_most_one_is_usual_and_it_has_most_points(said: list[Said]) -> None:
    found = usual_visibility(examples(tail=said))
    if found:
        assert Counter(said).most_common(1)[0][0] == found["tail"]
        assert said.count(found["tail"]) > len(said) / 2
