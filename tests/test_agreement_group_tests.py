"""Whether annotators and labels differ at all."""

import numpy as np
import pytest
from agreement_table import Made, columns_of, deleted, kept

from backend.agreement.group_tests import GroupTests, group_tests
from backend.agreement.parameters import AgreementParameters


def world(shares: dict[int, float], seed: int, tasks: int = 20) -> GroupTests:
    """Annotators who accept such shares of twelve suggestions an image, ICC 0.2."""
    random = np.random.default_rng(seed)
    made = []
    for annotator, mean in shares.items():
        for task in range(tasks):
            share = random.beta(4 * mean, 4 * (1 - mean))
            points = [
                kept((10, n), "ab"[n % 2])
                if random.random() < share
                else deleted((10, n), "ab"[n % 2])
                for n in range(12)
            ]
            made.append(Made(100 * annotator + task, points, annotator=annotator))
    return group_tests(columns_of(*made), AgreementParameters())


def test_equal_annotators_rarely_differ_whatever_their_single_intervals_say():
    worlds = [world(dict.fromkeys(range(5), 0.6), seed) for seed in range(60)]
    differ = sum(each.annotator.test.p < 0.05 for each in worlds)
    assert differ <= 9  # three standard errors above 5 % of 60
    assert all(not each.annotator.pairs for each in worlds if each.annotator.test.p >= 0.05)


def test_an_annotator_who_differs_is_found_with_whom():
    found = world({1: 0.7, 2: 0.7, 3: 0.2}, seed=1, tasks=40).annotator
    assert found.test.p < 0.001
    assert {frozenset((each.first, each.second)) for each in found.pairs} == {
        frozenset("13"), frozenset("23"),
    }  # fmt: skip
    assert [each.p for each in found.pairs] == sorted(each.p for each in found.pairs)


def test_labels_are_compared_by_what_was_suggested():
    found = world({1: 0.6}, seed=2).label
    assert (found.test.groups, found.test.images) == (2, 40)
    assert found.test.p > 0.05


@pytest.mark.parametrize("made", [(), (Made(1, [kept((10, 10))]),)])
def test_too_little_to_compare_gives_a_reason(made):
    found = group_tests(columns_of(*made), AgreementParameters())
    for each in (found.annotator, found.label):
        assert (each.test.p, each.pairs) == (None, [])
        assert each.test.reason == "fewer than two groups with 5 images"


def test_the_largest_groups_are_compared_and_the_others_counted():
    made = [Made(n, [kept((10, 10))] * (2 + (n > 5)), annotator=n % 7) for n in range(30)]
    found = group_tests(columns_of(*made), AgreementParameters(most_groups=4)).annotator
    assert found.left_out == 3


def test_groups_of_few_images_are_named_and_one_that_keeps_everything_is_compared():
    made = [Made(n, [kept((10, 10), "a")] * 9, annotator=1) for n in range(30)]
    made += [Made(n, [deleted((10, 10), "a")] * 9, annotator=2) for n in range(30, 60)]
    made += [Made(n, [kept((10, 10), "b")], annotator=3) for n in range(60, 64)]
    found = group_tests(columns_of(*made), AgreementParameters())
    assert (found.annotator.test.groups, found.annotator.too_few_images) == (2, ["3"])
    assert [(each.first, each.second) for each in found.annotator.pairs] == [("1", "2")]
    assert found.annotator.pairs[0].p < 0.001
    assert (found.label.too_few_images, found.label.left_out) == (["b"], 0)
