"""The tasks that agree least, from columns made by hand."""

import pytest
from agreement_table import Made, added, columns_of, deleted, kept

from backend.agreement.parameters import AgreementParameters
from backend.agreement.worst_tasks import worst_tasks

PARAMETERS = AgreementParameters()


def test_tasks_that_agree_least_come_first_with_all_their_annotations():
    columns = columns_of(
        Made(1, [kept((10, 10)), kept((20, 20), by=30, hit=False)]),
        Made(2, [kept((10, 10)), deleted((20, 20))]),
        Made(2, [kept((10, 10)), added((90, 90))], annotator=2),
    )
    first, second = worst_tasks(columns, PARAMETERS)
    # Task 1: 2 hits of 4 points. Task 2: 2 of 3, and 2 of 3.
    assert (first.project, first.task, first.f1, list(first.states)) == ("3.1", 1, 0.5, [1])
    assert (second.task, second.f1) == (2, pytest.approx(4 / 6))
    assert list(second.states) == [2, 3]
    assert second.verdicts == {
        "accepted": 2,
        "moved": 0,
        "relabelled": 0,
        "moved_and_relabelled": 0,
        "deleted": 1,
        "added": 1,
    }


def test_of_two_equally_bad_tasks_the_one_with_more_points_comes_first():
    columns = columns_of(
        Made(1, [deleted((10, 10))]), Made(2, [deleted((10, 10)), deleted((20, 20))])
    )
    assert [each.task for each in worst_tasks(columns, PARAMETERS)] == [2, 1]


def test_tasks_where_nothing_was_changed_are_not_listed():
    columns = columns_of(Made(1, [kept((10, 10))]), Made(2), Made(3, [added((5, 5), hit=True)]))
    assert [each.task for each in worst_tasks(columns, PARAMETERS)] == [3]


def test_as_many_tasks_are_listed_as_the_parameters_say():
    columns = columns_of(*[Made(task, [deleted((10, 10))]) for task in range(20)])
    assert len(worst_tasks(columns, PARAMETERS)) == 10
    assert len(worst_tasks(columns, AgreementParameters(most_worst_tasks=3))) == 3
