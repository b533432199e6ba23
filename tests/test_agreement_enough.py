"""How many images the acceptance needs."""

import pytest

from backend.agreement.clustered import WILSON, Estimate, share
from backend.agreement.enough import Enough, enough
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
