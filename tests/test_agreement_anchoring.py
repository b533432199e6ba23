"""Agreement with and without suggestions, from tables made by hand."""

import pytest
from agreement_table import Made, added, deleted, kept, table_of

from backend.agreement.anchoring import Anchoring, anchoring
from backend.agreement.groups import AnnotationTotals
from backend.agreement.intervals import NOTHING, Clusters
from backend.agreement.parameters import AgreementParameters

PARAMETERS = AgreementParameters()


def compared(*made: Made) -> Anchoring:
    table = table_of(*made)
    clusters = Clusters.of(table.shown.images, PARAMETERS)
    figures = AnnotationTotals(table.shown, clusters).overall()
    return anchoring(table.shown, figures, clusters, table.withheld)


def test_the_difference_is_f1_shown_less_f1_withheld():
    shown = [Made(task, [kept((10, 10)), kept((50, 50), by=10, hit=False)]) for task in range(6)]
    withheld = [
        Made(
            task,
            [kept((10, 10), by=1), deleted((50, 50)), added((80, 80)), added((90, 20))],
            shown=False,
            lead_time=20.0,
        )
        for task in range(10, 16)
    ]
    found = compared(*shown, *withheld)
    # Shown: 1 of 2 suggestions and 1 of 2 final points. Withheld: 1 of 2 and 1 of 3.
    assert (found.shown.annotations, found.withheld.annotations) == (6, 6)
    assert (found.shown.precision.value, found.shown.recall.value) == (0.5, 0.5)
    assert found.withheld.precision.value == 0.5
    assert found.withheld.recall.value == pytest.approx(1 / 3)
    assert found.withheld.f1.value == pytest.approx(2 / 5)
    assert found.withheld.normalised_error.value == pytest.approx(1 / 100)
    assert (found.shown.lead_time, found.withheld.lead_time.value) == (NOTHING, 20.0)
    # All images of a side are alike, so every draw gives the same.
    assert found.difference.value == pytest.approx(0.5 - 0.4)
    assert found.difference.low == pytest.approx(0.1)
    assert found.difference.high == pytest.approx(0.1)
    assert found.difference.n == 6


def test_with_few_withheld_images_the_difference_has_no_interval():
    shown = [Made(task, [kept((10, 10))]) for task in range(6)]
    found = compared(*shown, Made(9, [added((10, 10))], shown=False))
    assert (found.difference.value, found.difference.low, found.difference.n) == (1.0, None, 1)


def test_without_withheld_tasks_there_is_no_difference():
    found = compared(*[Made(task, [kept((10, 10))]) for task in range(6)])
    assert found.withheld.annotations == 0
    assert found.difference == NOTHING
