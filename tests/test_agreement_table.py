"""The table of all that figures need."""

from datetime import UTC, datetime

import pytest
from agreement_table import MOMENT, Made, added, deleted, detection, kept, table_of

from backend.agreement.figures import agreement_report
from backend.agreement.group_figures import ChoiceCounts
from backend.agreement.parameters import AgreementParameters
from backend.agreement.versions import model_versions


def test_annotations_are_divided_into_shown_and_withheld():
    table = table_of(Made(1, [kept((10, 10))]), Made(2, [added((10, 10))], shown=False), Made(3))
    assert [each.task_id for each in table.shown.annotations] == [1, 3]
    assert [each.task_id for each in table.withheld.annotations] == [2]
    assert (len(table.shown.verdict), len(table.withheld.verdict)) == (1, 1)


def test_a_table_made_by_hand_has_every_figure():
    """No database takes part."""
    table = table_of(
        Made(1, [kept((10, 10))], choices={"accepted": 2, "deleted": 1}),
        Made(2, [added((10, 10))], shown=False, choices={"added": 5}),
    )
    parameters, moment = AgreementParameters(level=0.9), datetime(2026, 11, 22, tzinfo=UTC)
    report = agreement_report(table, parameters, made_at=moment)
    # Classes of withheld tasks are not counted.
    assert report.overall.choices == ChoiceCounts(3, 2, 0, 1, 0)
    found = report.as_json()
    assert (found["made_at"], found["method"]["level"]) == ("2026-11-22T00:00:00+00:00", 0.9)
    assert found["overall"]["points"]["suggested"] == 1
    assert found["anchoring"]["withheld"]["annotations"] == 1
    assert found["events"] == {"by_event": 2, "lost": 0, "recovered": 0}


def corrected_table():
    """Three tasks of annotator 1, the first of which annotator 2 corrected; one from scratch."""
    return table_of(
        Made(
            1,
            [kept((10, 10), by=30, hit=False)],
            first=[kept((10, 10)), kept((50, 50))],
            edited=True,
            lead_time=1.0,
        ),
        Made(2, [kept((10, 10)), deleted((50, 50))], lead_time=9.0),
        Made(3, [kept((10, 10), by=20, hit=False)], first_known=False, edited=True),
        Made(4, [added((10, 10))], from_scratch=True, choices={"accepted": 1}),
    )


def test_acceptance_rests_on_first_submissions_and_quality_on_newest_states():
    report = agreement_report(corrected_table(), AgreementParameters(), made_at=MOMENT)
    overall = report.overall.figures
    counted = overall.agreement.points
    assert (counted.suggested, counted.judged) == (4, 4)
    assert {name: count for name, count in counted.by_verdict.items() if count} == {
        "accepted": 3,
        "deleted": 1,
    }
    assert overall.agreement.acceptance.untouched.value == 3 / 4
    assert (overall.agreement.precision.value, overall.agreement.precision.n) == (1 / 4, 4)
    assert (overall.agreement.recall.value, overall.agreement.recall.n) == (1 / 3, 3)
    assert overall.agreement.normalised_error.image.value == pytest.approx((0.3 + 0 + 0.2) / 3)
    assert (overall.annotations, overall.edited_by_others, overall.acceptance_unknown) == (3, 2, 1)
    assert report.by.label[0].figures.acceptance.untouched.value == 3 / 4
    assert report.by.label[0].figures.points == counted
    assert report.by.annotator[0].figures == overall
    assert report.work_saved.figures.actions.with_suggestions.value == 1 / 2
    assert report.differences.label.left_out == 0
    [annotator] = report.rubber_stamping.annotators
    assert (annotator.hasty.n, annotator.hasty.value) == (2, 1 / 2)
    assert sum(each.accepted.n for each in report.reliability) == 4
    assert {(each.suggested, each.final): each.count for each in report.labels} == {
        ("beak", "beak"): 3,
        ("beak", None): 1,
    }
    assert [each.f1 for each in report.worst_tasks] == [0, 0, 2 / 3]
    assert [list(each.states) for each in report.worst_tasks] == [[1], [3], [2]]
    assert report.landmarks[0].shown.annotated == 3
    assert report.overall.choices.suggested == 0
    assert (report.groups.shown, report.groups.from_scratch) == (3, 1)


def test_without_other_states_nothing_is_copied():
    columns = table_of(Made(1, [kept((10, 10))]), Made(2, [added((10, 10))])).columns
    assert columns.first_submissions is columns.newest_states is columns


def test_what_was_drawn_from_scratch_says_nothing_about_model_versions():
    made = [Made(task, [added((10, 10))], from_scratch=True) for task in (1, 2)]
    found = [detection(task, version, (10, 10)) for task in (1, 2) for version in ("a", "b")]
    table = table_of(*made, detections=found)
    assert model_versions(table, AgreementParameters()) == []
