"""Which classes are learnt, and what is said about their numbers of images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.learning.class_sizes import class_sizes, lookalikes, repeated


def sizes(**counts: int):
    labels = [name for name, count in counts.items() for _ in range(count)]
    return class_sizes(labels, counts)


def test_classes_with_two_images_are_learnt_and_the_others_named():
    found = sizes(cat=2, dog=30, fox=1, owl=0)
    assert (found.learnt, found.scarce) == (("cat", "dog"), ("fox", "owl"))
    assert found.reason("owl") == "'owl' has only 0 usable images, and a class needs at least 2"
    assert "never name them: 'fox', 'owl';" in found.warnings()[0]


def test_unequal_classes_are_warned_of_with_what_a_constant_answer_would_reach():
    (warning,) = sizes(cat=990, dog=10).warnings()
    assert "always names 'cat' has 99.0% right" in warning
    assert sizes(cat=190, dog=10).warnings() == ()


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (["van", "bus"], []),
        (["van", "Van", "bus"], ["'Van', 'van'"]),
        (
            ["fire truck", "fire_truck", "Fire  Truck ", "fire-engine"],
            ["'Fire  Truck ', 'fire truck', 'fire_truck'"],
        ),
        (["Straße", "STRASSE", "wheel 1", "wheel 2"], ["'STRASSE', 'Straße'"]),
    ],
)
def test_names_that_differ_in_case_or_blanks_only_are_probably_one_class(names, same):
    assert lookalikes(names) == same
    assert list(sizes(**dict.fromkeys(names, 10)).warnings()) == [
        f"probably the same class: {each}" for each in same
    ]


def test_a_thousand_classes_make_short_messages():
    found = class_sizes([f"c{n}" for n in range(1000) for _ in range(2)] + ["x"], {"x"})
    assert len(found.learnt) == 1000
    assert "and 990 more" in found.warnings()[1]
    assert all(len(each) < 400 for each in found.warnings())


def test_classes_of_similar_sizes_are_shown_as_they_are():
    images, labels = np.arange(30), np.repeat([0, 1], [20, 10])
    assert np.array_equal(repeated(images, labels, np.random.default_rng(0)), images)


def test_rare_classes_are_shown_more_often():
    images, labels = np.arange(10_000) + 7, np.repeat([0, 1], [9995, 5])
    shown = repeated(images, labels, np.random.default_rng(0))
    rare = shown[shown >= 9995 + 7]
    assert len(rare) == round(5 * np.sqrt(5000 / 2 / 5)) == 112
    assert np.ptp(np.bincount(rare - 9995 - 7)) <= 1
    assert len(shown) == 9995 + 112


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 5))
def test_every_image_is_shown_and_none_of_a_class_much_more_than_another(classes, seed):
    images, labels = np.arange(len(classes)), np.array(classes)
    shown = repeated(images, labels, np.random.default_rng(seed))
    times = np.bincount(shown, minlength=len(images))
    assert times.min() >= 1
    for number in set(classes):
        assert np.ptp(times[labels == number]) <= 1
