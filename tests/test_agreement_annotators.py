"""The figures of each annotator, from tables made by hand."""

import numpy as np
import pytest
from agreement_table import Made, added, deleted, kept, table_of

from backend.agreement.annotators import NOT_OF_LABEL, NOT_SHARED, Annotators, without_times
from backend.agreement.figures import AgreementReport, agreement_report
from backend.agreement.parameters import AgreementParameters
from backend.database.connection import now

FOUR = [kept((10 * n, 10)) for n in range(4)]
CHANGED = [*FOUR[:2], deleted((20, 10)), kept((30, 10), by=3), added((90, 90))]


def reported(*made: Made, **parameters: int) -> AgreementReport:
    return agreement_report(table_of(*made), AgreementParameters(**parameters), made_at=now())


def measured(*made: Made, **parameters: int) -> Annotators:
    return reported(*made, **parameters).annotators


def test_each_annotator_is_listed_by_size_and_what_is_left_out_is_counted():
    made = [Made(task, FOUR, annotator=1 + task % 3 % 2) for task in range(30)]
    made += [Made(50, FOUR, annotator=3), Made(51, FOUR, annotator=None)]
    found = measured(*made)
    assert [(each.annotator, each.annotations) for each in found.annotators] == [
        ("1", 20), ("2", 10), ("3", 1),
    ]  # fmt: skip
    assert found.left_out == 0
    few = measured(*made, most_groups=2)
    assert [each.annotator for each in few.annotators] == ["1", "2"]
    assert few.left_out == 1


def test_time_a_point_counts_suggested_and_added_points_of_first_submissions():
    # 5 points in 10, 20, … s: medians of 2, 4, 6, 8, 10, 12.
    made = [Made(n, CHANGED, lead_time=10.0 * n) for n in range(1, 7)]
    made += [Made(7, CHANGED, lead_time=1.0), Made(8, CHANGED, lead_time=9999.0)]
    # The author needed 1 s, the reviewer changed it later.
    made[6].first = [kept((10, 10))]
    [found] = measured(*made).annotators
    assert found.seconds_a_point.value == pytest.approx(np.median([1, 2, 4, 6, 8, 10, 12]))
    assert (found.seconds_a_point.left_out, found.seconds_a_point.low) == (1, 1.0)


def test_unchanged_and_hasty_are_shares_of_annotations():
    made = [Made(n, FOUR, lead_time=3.0) for n in range(3)]
    made += [Made(n, FOUR, lead_time=30.0) for n in range(3, 9)]
    made += [Made(n, CHANGED, lead_time=3.0) for n in range(9, 30)]
    [found] = measured(*made).annotators
    assert (found.unchanged.value, found.unchanged.n) == (pytest.approx(9 / 30), 30)
    assert (found.hasty.value, found.hasty.n) == (pytest.approx(3 / 30), 30)


def test_acceptance_and_f1_are_those_of_the_table_of_annotators_and_their_ends_the_range():
    random = np.random.default_rng(3)
    made = [
        Made(
            task,
            [
                kept((10 * n, 10)) if random.random() < 0.2 * annotator else deleted((10 * n, 10))
                for n in range(8)
            ],
            annotator=annotator,
        )
        for task in range(40)
        for annotator in (1, 2, 3)
    ]
    made.append(Made(99, FOUR, annotator=4))
    report = reported(*made)
    found, table = report.annotators, {each.name: each.figures for each in report.by.annotator}
    for each in found.annotators:
        assert each.acceptance == table[each.annotator].agreement.acceptance.untouched
        assert each.f1 == table[each.annotator].agreement.f1
    of_three = [each.acceptance.value for each in found.annotators[:3]]
    # The fourth has one image, so no interval, and is not an end.
    assert (found.acceptance.lowest, found.acceptance.highest) == (min(of_three), max(of_three))
    assert (found.acceptance.annotators, found.f1.annotators) == (3, 3)
    alone = measured(*made[::3])
    assert (alone.acceptance.lowest, alone.acceptance.annotators) == (None, 1)


def test_f1_with_others_is_that_of_shared_withheld_tasks():
    ten, twenty = [added((10, 10)), added((50, 50))], [added((10, 10))]
    shared = [
        Made(task, points, annotator=annotator, shown=False)
        for task in range(6)
        for annotator, points in ((1, ten), (2, twenty), (3, ten))
    ]
    found = measured(*shared, Made(9, FOUR, annotator=4)).annotators
    # 1 with 2: 2/3, with 3: 1; 2 with both: 2/3.
    of = {each.annotator: each.f1_with_others for each in found}
    assert of["1"].value == pytest.approx(5 / 6)
    assert of["2"].value == pytest.approx(2 / 3)
    assert (of["1"].n, of["1"].images) == (6, 6)
    assert (of["4"].value, of["4"].reason) == (None, NOT_SHARED)


def test_shown_less_withheld_needs_ten_withheld_images_of_the_annotator():
    random = np.random.default_rng(4)

    def points(hits: float) -> list:
        return [
            kept((10 * n, 10)) if random.random() < hits else deleted((10 * n, 10))
            for n in range(8)
        ]

    made = [
        Made(100 * who + task, points(0.9), annotator=who, lead_time=random.uniform(9, 11))
        for who in (1, 2)
        for task in range(40)
    ]
    made += [
        Made(
            1000 + 100 * who + task,
            points(0.5),
            annotator=who,
            lead_time=random.uniform(18, 22),
            shown=False,
        )
        for who, count in ((1, 20), (2, 7))
        for task in range(count)
    ]
    first, second = measured(*made).annotators
    assert first.shown_less_withheld.f1.low > 0.1
    assert first.shown_less_withheld.seconds.value == pytest.approx(-10, abs=1)
    assert (first.withheld, second.withheld) == (20, 7)
    assert second.shown_less_withheld.f1.reason == "3 more withheld images needed"
    # With one annotator it is the figure of all.
    alone = reported(*[each for each in made if each.annotator == 1])
    assert alone.annotators.annotators[0].shown_less_withheld.f1 == alone.anchoring.difference
    assert alone.annotators.annotators[0].shown_less_withheld.seconds == alone.anchoring.seconds


def test_who_is_flagged_for_haste_has_the_flag():
    made = [Made(task, FOUR, annotator=9, lead_time=1.0) for task in range(30)]
    made += [Made(task, CHANGED, annotator=1, lead_time=30.0) for task in range(30)]
    assert {each.annotator: list(each.flags) for each in measured(*made).annotators} == {
        "9": ["hasty"],
        "1": [],
    }


def test_what_rests_on_whole_annotations_is_left_out_for_a_label():
    [found] = without_times(
        measured(*[Made(n, FOUR, lead_time=2.0 + n) for n in range(30)])
    ).annotators
    for each in (found.seconds_a_point, found.unchanged, found.hasty):
        assert (each.value, each.reason) == (None, NOT_OF_LABEL)
    assert found.acceptance.value == 1.0


def test_nobody_is_listed_where_nothing_was_annotated():
    assert measured() == Annotators([], 0, *[type(measured().f1)(None, None, 0)] * 2)
