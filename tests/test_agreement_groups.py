"""Figures by group, from columns made by hand."""

from datetime import UTC, datetime, timedelta

import pytest
from agreement_table import MOMENT, Made, added, columns_of, deleted, kept

from backend.agreement.groups import AnnotationTotals, by_label, group_tables, period_names
from backend.agreement.intervals import NOTHING, Clusters
from backend.agreement.parameters import AgreementParameters


def totals_of(columns, parameters=None):
    clusters = Clusters.of(columns.images, parameters or AgreementParameters())
    return AnnotationTotals(columns, clusters), clusters


def test_acceptance_depends_on_the_thresholds_in_the_parameters():
    points = [kept((10, 10)), kept((20, 20), by=1), kept((30, 30), by=4), kept((40, 40), by=9)]
    columns = columns_of(Made(1, points))
    accepted = totals_of(columns)[0].overall().agreement.acceptance
    assert accepted.untouched.value == 1 / 4
    assert (accepted.within_share.value, accepted.within_px.value) == (2 / 4, 3 / 4)
    wider = AgreementParameters(tau=0.1, tau_px=1.0)
    accepted = totals_of(columns, wider)[0].overall().agreement.acceptance
    assert (accepted.within_share.value, accepted.within_px.value) == (4 / 4, 2 / 4)


def test_a_relabelled_point_is_not_accepted_however_near_it_stays():
    columns = columns_of(Made(1, [kept((10, 10), final_label="tail")]))
    accepted = totals_of(columns)[0].overall().agreement.acceptance
    assert accepted.untouched.value == accepted.within_share.value == 0


def test_pck_is_given_for_each_alpha_of_the_parameters():
    columns = columns_of(Made(1, [kept((10, 10), by=3, length=20.0), added((90, 90))]))
    parameters = AgreementParameters(alphas=(0.01, 0.04, 0.2))
    pck = totals_of(columns, parameters)[0].overall().agreement.pck
    assert [each.alpha for each in pck.image] == [0.01, 0.04, 0.2]
    assert [each.share.value for each in pck.image] == [0, 1 / 2, 1 / 2]
    assert [each.share.value for each in pck.object] == [0, 0, 1]  # 3 px of 20


def test_displacements_are_those_of_moved_points_alone():
    columns = columns_of(Made(1, [kept((10, 10)), *(kept((20, 20), by=n) for n in (1, 2, 6))]))
    moved = totals_of(columns)[0].overall().agreement.displacement_px
    assert (moved.median.value, moved.median.n) == (2.0, 3)
    assert moved.p90.value == pytest.approx(5.2)


def test_annotations_tasks_and_annotators_are_counted_apart():
    columns = columns_of(
        Made(1, lead_time=10.0), Made(1, annotator=2, lead_time=20.0), Made(2, annotator=2)
    )
    found = totals_of(columns)[0].overall()
    assert (found.annotations, found.tasks, found.annotators) == (3, 2, 2)
    assert (found.lead_time.value, found.lead_time.n) == (15.0, 2)


def test_only_the_largest_groups_are_listed_in_the_order_of_their_names():
    columns = columns_of(*[Made(task, [kept((10, 10))]) for task in range(6)])
    names = ["b", "c", "c", "a", "c", "a"]
    found = totals_of(columns)[0].by_name(names, 2)
    assert [(each.name, each.figures.annotations) for each in found] == [("a", 2), ("c", 3)]


def test_a_relabelled_suggestion_counts_for_both_labels():
    columns = columns_of(Made(1, [kept((10, 10), final_label="tail"), deleted((50, 50))]))
    beak, tail = by_label(columns, totals_of(columns)[1])
    assert (beak.name, tail.name) == ("beak", "tail")
    assert (beak.figures.points.suggested, beak.figures.precision.value) == (2, 1 / 2)
    assert (beak.figures.recall, tail.figures.precision) == (NOTHING, NOTHING)
    assert (tail.figures.points.suggested, tail.figures.recall.value) == (0, 1.0)


def test_groups_of_every_kind_have_their_names():
    columns = columns_of(
        Made(1, [kept((10, 10))], class_name="wren"),
        Made(2, class_name="crow", annotator=None, project="4.1", model_version="b"),
    )
    totals, clusters = totals_of(columns)
    found = group_tables(columns, totals, clusters).as_json()
    assert {kind: [each["name"] for each in groups] for kind, groups in found.items()} == {
        "label": ["beak"],
        "class": ["crow", "wren"],
        "annotator": ["1", "unknown"],
        "project": ["3.1", "4.1"],
        "model_version": ["b", "small-1"],
        "time": ["2026-11-22"],
    }


@pytest.mark.parametrize(
    ("days", "names"),
    [
        (31, ["2026-11-22", "2026-12-23"]),
        (365, ["2026-W47", "2027-W47"]),
        (366, ["2026-11", "2027-11"]),
    ],
)
def test_periods_are_days_weeks_or_months_so_that_they_are_not_too_many(days, names):
    assert period_names([MOMENT, MOMENT + timedelta(days=days)]) == names


def test_no_moment_has_no_period():
    assert period_names([]) == []
    assert period_names([datetime(2026, 1, 1, tzinfo=UTC)]) == ["2026-01-01"]
