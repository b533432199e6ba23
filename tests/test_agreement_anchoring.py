"""Agreement with and without suggestions, from tables made by hand."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest
from agreement_table import MOMENT, Made, added, deleted, kept, table_of

from backend.agreement.anchoring import Anchoring, anchoring
from backend.agreement.parameters import AgreementParameters
from backend.verdicts.judging import Verdict

PARAMETERS = AgreementParameters()


def compared(*made: Made) -> Anchoring:
    table = table_of(*made)
    return anchoring(table.shown, table.withheld, PARAMETERS)


def of_quality(share: float, random: np.random.Generator) -> Sequence[Verdict]:
    """Twelve suggestions of which about such a share lies near a final point."""
    return [kept((50, 50), hit=bool(hit)) for hit in random.random(12) < share]


def test_the_difference_is_f1_shown_less_f1_withheld():
    shown = [Made(task, [kept((10, 10)), kept((50, 50), by=10, hit=False)]) for task in range(6)]
    withheld = [
        Made(
            task,
            [kept((10, 10), by=1), deleted((50, 50)), added((80, 80)), added((90, 20))],
            shown=False,
            lead_time=20.0,
        )
        for task in range(10, 20)
    ]
    found = compared(*shown, *withheld)
    # Shown: 1 of 2 suggestions and 1 of 2 final points. Withheld: 1 of 2 and 1 of 3.
    assert (found.shown.annotations, found.withheld.annotations) == (6, 10)
    assert (found.shown.precision.value, found.shown.recall.value) == (0.5, 0.5)
    assert found.withheld.precision.value == 0.5
    assert found.withheld.recall.value == pytest.approx(1 / 3)
    assert found.withheld.f1.value == pytest.approx(2 / 5)
    assert found.withheld.normalised_error.value == pytest.approx(1 / 100)
    assert found.shown.lead_time.geometric_mean.value is None
    assert found.withheld.lead_time.geometric_mean.value == pytest.approx(20.0)
    assert found.difference.value == pytest.approx(0.5 - 0.4)
    assert (found.difference.n, found.difference.images) == (10, 16)
    assert found.difference.reason == "the images do not differ"
    assert found.seconds.value is None


def test_an_easy_project_without_withheld_tasks_does_not_make_suggestions_look_helpful():
    """A is easy, and all its suggestions were shown; B is hard. In B nothing differs."""
    random = np.random.default_rng(1)
    easy = [Made(task, of_quality(0.9, random), project="1.1") for task in range(60)]
    hard = [
        Made(task, of_quality(0.5, random), project="2.1", shown=task % 2 == 0)
        for task in range(80)
    ]
    found = compared(*easy, *hard)
    assert (found.shown.annotations, found.withheld.annotations, found.strata) == (40, 40, 1)
    assert found.difference.low < 0 < found.difference.high
    assert abs(found.difference.value) < 0.08


def test_what_was_shown_before_the_first_withheld_task_is_not_compared():
    random = np.random.default_rng(2)
    early = [Made(task, of_quality(1, random)) for task in range(30)]
    later = MOMENT + timedelta(days=30)
    late = [
        Made(task, of_quality(0.5, random), shown=task % 2 == 0, updated_at=later)
        for task in range(30, 70)
    ]
    found = compared(*early, *late)
    assert found.shown.annotations == 20
    assert found.difference.low < 0 < found.difference.high


def test_strata_weigh_by_their_withheld_images():
    def stratum(version: str, first: int, withheld: int, shown_hit: bool) -> list[Made]:
        points = [kept((10, 10), hit=shown_hit)]
        made = [Made(first + n, points, model_version=version) for n in range(6)]
        return made + [
            Made(first + 50 + n, [kept((10, 10), hit=False)], shown=False, model_version=version)
            for n in range(withheld)
        ]

    found = compared(*stratum("a", 0, 12, True), *stratum("b", 100, 4, False))
    assert found.difference.value == pytest.approx(12 / 16)
    assert found.strata == 2


def test_seconds_are_compared_as_geometric_means():
    random = np.random.default_rng(3)
    made = [
        Made(task, shown=task % 2 == 0, lead_time=float(seconds))
        for task, seconds in enumerate(random.lognormal(2, 0.3, 100))
    ]
    for each in made:
        if not each.shown:
            each.lead_time = 2 * each.lead_time
    found = compared(*made)
    assert found.seconds.low < -7 < found.seconds.high < 0


def test_with_few_withheld_images_the_missing_number_is_given():
    shown = [Made(task, [kept((10, 10))]) for task in range(6)]
    withheld = [Made(task, [added((10, 10))], shown=False) for task in range(10, 13)]
    found = compared(*shown, *withheld)
    assert (found.difference.value, found.difference.low, found.difference.n) == (None, None, 3)
    assert found.difference.reason == "7 more withheld images needed"


def test_without_withheld_tasks_there_is_no_difference():
    found = compared(*[Made(task, [kept((10, 10))]) for task in range(6)])
    assert (found.withheld.annotations, found.strata) == (0, 0)
    assert found.difference.value is None
    assert found.difference.reason == "10 more withheld images needed"
