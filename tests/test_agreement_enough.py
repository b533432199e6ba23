"""How many images an interval needs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from agreement_table import Made, added, columns_of, deleted, kept

from backend.agreement.clustered import WILSON, Estimate, geometric_seconds, log_times, share
from backend.agreement.comparisons import Stratum, difference_stratified
from backend.agreement.enough import (
    Enough,
    enough,
    enough_withheld,
    enough_withheld_time,
    images_to_see,
)
from backend.agreement.parameters import AgreementParameters

PARAMETERS = AgreementParameters()


def test_images_needed_follow_from_share_design_effect_and_points_an_image():
    acceptance = Estimate(0.5, 0.4, 0.6, 120, 10, WILSON, deff=2.1)
    # 0.25 · (1.96 / 0.05)² · 2.1 / 12 = 67.2 images.
    assert enough(acceptance, PARAMETERS) == Enough(0.05, 10, 68, None)


def test_images_alike_in_all_tell_nothing():
    same = enough(share([1] * 6, [2] * 6), PARAMETERS)
    assert (same.images_needed, same.reason) == (None, "the images do not differ")


@pytest.mark.parametrize(
    ("successes", "trials", "reason"),
    [
        ([], [], "no image contributes"),
        ([1, 2], [2, 2], "2 of at least 5 images"),
        ([2] * 6, [2] * 6, "all suggestions were judged alike"),
        ([0] * 6, [2] * 6, "all suggestions were judged alike"),
        ([0] * 6, [0] * 6, "no image contributes"),  # nothing but added
    ],
)
def test_what_cannot_be_told_has_a_reason(successes, trials, reason):
    found = enough(share(successes, trials), PARAMETERS)
    assert (found.images_needed, found.reason) == (None, reason)


@pytest.mark.parametrize(("icc", "images"), [(0.1, 57), (0.2, 86), (0.4, 146)])
def test_more_alike_images_need_more_of_them(icc, images):
    points = 14
    acceptance = Estimate(0.5, 0.4, 0.6, 20 * points, 20, WILSON, deff=1 + (points - 1) * icc)
    found = enough(acceptance, PARAMETERS).images_needed
    assert found is not None and abs(found - images) / images < 0.2


def made(images: int, *, shown: bool, seed: int, first: int = 0) -> list[Made]:
    """Annotations of 8 suggestions, of which a share of the image's own hits."""
    rng = np.random.default_rng(seed)
    found = []
    for task in range(first, first + images):
        hits = int(rng.binomial(8, rng.beta(3, 2)))
        verdicts = [kept((10, 10))] * hits + [deleted((30, 10)), added((50, 10))] * (8 - hits)
        found.append(Made(task, verdicts, shown=shown))
    return found


def test_as_many_withheld_images_as_needed_give_the_half_width_wanted():
    shown = columns_of(*made(4000, shown=True, seed=1))
    few = columns_of(*made(30, shown=False, seed=2))
    needed = enough_withheld(shown, few, PARAMETERS).images_needed
    assert needed is not None
    halves = []
    for seed in range(20):
        withheld = columns_of(*made(needed, shown=False, seed=10 + seed, first=5000))
        f1 = np.bincount(withheld.annotation, withheld.final_hit) / 8
        halves.append(1.96 * f1.std() / np.sqrt(needed))
    assert np.mean(halves) == pytest.approx(0.05, rel=0.25)


@pytest.mark.parametrize(
    ("shown", "withheld", "needed", "reason"),
    [
        (3, 0, None, "3 of at least 5 images with suggestions shown"),
        (8, 20, None, "the images whose suggestions were shown are too few for it themselves"),
        (4000, 0, "some", None),
    ],
)
def test_the_withheld_images_needed_or_the_reason(shown, withheld, needed, reason):
    found = enough_withheld(
        columns_of(*made(shown, shown=True, seed=3)),
        columns_of(*made(withheld, shown=False, seed=4)),
        PARAMETERS,
    )
    assert (found.images, found.reason) == (withheld, reason)
    assert (found.images_needed is None) == (needed is None)


def timed(random: np.random.Generator, images: int, seconds: float, spread: float) -> list[Made]:
    """Annotations of two suggestions each, with lognormal lead times."""
    return [
        Made(task, [kept((10, 10))], lead_time=float(seconds * random.lognormal(0, spread)))
        for task in range(images)
    ]


def as_withheld(made: list[Made]) -> list[Made]:
    return [replace(each, task=5000 + each.task, shown=False) for each in made]


@pytest.mark.parametrize(("difference", "spread"), [(0.1, 0.5), (0.2, 0.9), (0.2, 0.15)])
def test_as_many_withheld_images_as_needed_show_the_difference_in_8_of_10_projects(
    difference, spread
):
    """As often as the interval of the report leaves out 0; five standard errors of 400 projects."""
    random = np.random.default_rng(8)
    shown = columns_of(*timed(random, 3000, 10 * (1 - difference), spread))
    withheld = columns_of(*as_withheld(timed(random, 500, 10, spread)))
    found = {each.difference: each for each in enough_withheld_time(shown, withheld, PARAMETERS)}
    needed = found[difference].images_needed
    assert needed is not None
    seen = 0
    for _ in range(400):
        first, second = (
            log_times(middle * random.lognormal(0, spread, count), np.arange(count))
            for middle, count in ((10 * (1 - difference), 3000), (10, needed))
        )
        assert first and second
        one = difference_stratified([Stratum(*map(geometric_seconds, (first, second)))])
        seen += one.high is not None and one.high < 0
    assert 0.7 <= seen / 400 <= (1 if needed == PARAMETERS.fewest_withheld else 0.9)


def test_the_images_needed_to_see_a_difference_are_those_worked_by_hand():
    """(1.96 + 0.84)² · 0.81 / 0.2231² = 127.7 images beside very many shown ones."""
    found = images_to_see(-math.log(0.8), 1e-9, 0.81, PARAMETERS)
    assert found == pytest.approx(128, abs=3)
    assert images_to_see(0.1, 0.0013, 0.81, PARAMETERS) is None


@pytest.mark.parametrize(
    ("shown", "withheld", "reason"),
    [
        (4, 0, "4 of at least 5 images with a lead time and suggestions shown"),
        (20, 0, "the images whose suggestions were shown are too few for it themselves"),
    ],
)
def test_withheld_images_needed_for_time_cannot_always_be_told(shown, withheld, reason):
    random = np.random.default_rng(9)
    found = enough_withheld_time(
        columns_of(*timed(random, shown, 10, 0.9)),
        columns_of(*as_withheld(timed(random, withheld, 10, 0.9))),
        PARAMETERS,
    )
    assert [(each.difference, each.images_needed) for each in found] == [(0.1, None), (0.2, None)]
    assert {each.reason for each in found} == {reason}
    alike = columns_of(*(Made(n, [kept((10, 10))], lead_time=9.0) for n in range(9)))
    [first, _] = enough_withheld_time(alike, columns_of(), PARAMETERS)
    assert (first.images_needed, first.reason) == (None, "the images do not differ")


def test_without_a_lead_time_nothing_is_known_about_time():
    untimed = columns_of(*(Made(task, [kept((10, 10))]) for task in range(20)))
    [first, _] = enough_withheld_time(untimed, columns_of(), PARAMETERS)
    assert first.reason == "0 of at least 5 images with a lead time and suggestions shown"


def test_at_least_as_many_are_needed_as_a_comparison_takes():
    alike = columns_of(*(Made(task, [kept((10, 10))]) for task in range(20)))
    assert enough_withheld(alike, columns_of(), PARAMETERS).images_needed == 10
