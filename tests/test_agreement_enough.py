"""How many images an interval needs."""

import numpy as np
import pytest
from agreement_table import Made, added, columns_of, deleted, kept

from backend.agreement.clustered import WILSON, Estimate, share
from backend.agreement.enough import Enough, enough, enough_withheld
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


def test_at_least_as_many_are_needed_as_a_comparison_takes():
    alike = columns_of(*(Made(task, [kept((10, 10))]) for task in range(20)))
    assert enough_withheld(alike, columns_of(), PARAMETERS).images_needed == 10
