"""Figures by group, from columns made by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from agreement_table import MOMENT, Made, added, columns_of, deleted, kept

from backend.agreement.groups import AnnotationTotals, by_label, group_tables, period_names
from backend.agreement.parameters import AgreementParameters


def totals_of(columns, parameters=None):
    parameters = parameters or AgreementParameters()
    return AnnotationTotals(columns, parameters), parameters


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
    assert moved.mean.value == pytest.approx(3.0)


def test_annotations_tasks_and_annotators_are_counted_apart():
    columns = columns_of(
        Made(1, lead_time=10.0), Made(1, annotator=2, lead_time=20.0), Made(2, annotator=2)
    )
    found = totals_of(columns)[0].overall()
    assert (found.annotations, found.tasks, found.annotators) == (3, 2, 2)
    assert (found.lead_time.median.value, found.lead_time.median.n) == (15.0, 2)
    assert found.lead_time.geometric_mean.value == pytest.approx(200**0.5)


def test_only_the_largest_groups_are_listed_in_the_order_of_their_names():
    columns = columns_of(*[Made(task, [kept((10, 10))]) for task in range(6)])
    names = ["b", "c", "c", "a", "c", "a"]
    found = totals_of(columns)[0].by_name(names, 2)
    assert [(each.name, each.figures.annotations) for each in found] == [("a", 2), ("c", 3)]


def test_a_relabelled_suggestion_counts_for_both_labels():
    columns = columns_of(Made(1, [kept((10, 10), final_label="tail"), deleted((50, 50))]))
    beak, tail = by_label(columns, totals_of(columns)[1])
    assert (beak.name, tail.name) == ("beak", "tail")
    assert (beak.figures.points.suggested, beak.figures.precision.value) == (2, 0)
    assert beak.figures.recall.value is tail.figures.precision.value is None
    assert tail.figures.points.suggested == 0
    assert tail.figures.recall.reason == tail.figures.f1.reason == "never suggested"
    assert tail.figures.found_at_place.value == 1.0


def test_groups_of_every_kind_have_their_names():
    columns = columns_of(
        Made(1, [kept((10, 10))], class_name="wren"),
        Made(2, class_name="crow", annotator=None, project="4.1", model_version="b"),
    )
    found = group_tables(columns, *totals_of(columns)).as_json()
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
        (336, ["2026-W47", "2027-W42"]),
        (337, ["2026-11", "2027-10"]),
    ],
)
def test_periods_are_days_weeks_or_months_so_that_they_are_not_too_many(days, names):
    assert period_names([MOMENT, MOMENT + timedelta(days=days)]) == names


def test_no_moment_has_no_period():
    assert period_names([]) == []
    assert period_names([datetime(2026, 1, 1, tzinfo=UTC)]) == ["2026-01-01"]


def test_one_open_tab_does_not_move_the_times():
    """Nine annotations of 10 s, one of four hours, and one that Label Studio gives 0 s."""
    seconds = [10.0] * 9 + [4 * 3600.0, 0.0]
    columns = columns_of(*[Made(task, lead_time=each) for task, each in enumerate(seconds)])
    found = totals_of(columns)[0].overall().lead_time
    for each in (found.median, found.geometric_mean):
        assert each.value == pytest.approx(10)
        assert (each.n, each.left_out) == (9, 2)
    longer = totals_of(columns, AgreementParameters(longest_seconds=20_000))[0].overall()
    assert longer.lead_time.geometric_mean.left_out == 1


def test_points_of_one_image_are_not_independent():
    """Half of the images are all accepted, the others all deleted."""
    points = [kept((10 * n, 10)) for n in range(1, 10)], [deleted((10 * n, 10)) for n in range(9)]
    columns = columns_of(*[Made(task, points[task % 2]) for task in range(20)])
    found = totals_of(columns)[0].overall().agreement.acceptance.untouched
    assert (found.value, found.n, found.images) == (0.5, 180, 20)
    assert found.deff == pytest.approx(9, rel=0.1)
    assert found.icc == pytest.approx(1)
    assert (found.low, found.high) == pytest.approx((0.2841, 0.7159), abs=0.005)


def test_a_share_of_one_image_has_no_interval():
    columns = columns_of(Made(1, [kept((10, 10)), deleted((20, 20))]), Made(2))
    found = totals_of(columns)[0].overall().agreement.acceptance.untouched
    assert (found.value, found.low, found.high, found.images) == (0.5, None, None, 1)
    assert found.reason == "1 of at least 2 images"


def test_the_median_of_very_many_moves_lies_inside_its_interval():
    random = np.random.default_rng(1)
    made = [
        Made(task, [kept((1, 1), by=float(by)) for by in random.gamma(2, 3.3, 6)])
        for task in range(3000)
    ]
    found = totals_of(columns_of(*made))[0].overall().agreement.displacement_px.median
    assert found.n == 18_000
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(0.18, abs=0.05)


def test_a_group_is_computed_from_its_own_images_alone():
    made = [
        Made(task, [kept((10, 10)), deleted((20, 20))] * (task % 3), annotator=task % 2)
        for task in range(24)
    ]
    columns = columns_of(*made)
    names = [str(each.annotator) for each in columns.annotations]
    for group in totals_of(columns)[0].by_name(names, 5):
        alone = columns_of(*[each for each in made if str(each.annotator) == group.name])
        assert totals_of(alone)[0].overall() == group.figures


def test_suggestions_are_counted_once_however_many_annotators_judged_them():
    points = [kept((10, 10)), kept((20, 20), by=3), deleted((30, 30))]
    made = [Made(task, points, annotator=n) for task in range(5) for n in (1, 2)]
    columns = columns_of(*made, Made(9, [*points, added((5, 5))]))
    found = totals_of(columns)[0].overall().agreement.points
    assert (found.suggested, found.judged) == (18, 33)
    assert found.by_verdict["accepted"] == 11
    annotators = totals_of(columns)[0].by_name([str(e.annotator) for e in columns.annotations], 9)
    assert [each.figures.agreement.points.suggested for each in annotators] == [18, 15]
    [beak] = by_label(columns, AgreementParameters())
    assert (beak.figures.points.suggested, beak.figures.points.judged) == (18, 33)


def test_weeks_are_never_too_many_to_be_listed_and_other_groups_left_out_are_counted():
    for days in range(0, 1200, 7):
        moments = [MOMENT + timedelta(days=day) for day in range(0, days + 1)]
        assert len(set(period_names(moments))) <= AgreementParameters().most_groups
    made = [Made(n, [kept((10, 10), str(n % 9))], annotator=n % 5) for n in range(45)]
    columns = columns_of(*made)
    found = group_tables(columns, *totals_of(columns, AgreementParameters(most_groups=3)))
    assert (len(found.annotator), found.left_out["annotator"]) == (3, 2)
    assert (len(found.label), found.left_out["label"]) == (3, 6)
    assert found.left_out["time"] == found.left_out["project"] == 0
