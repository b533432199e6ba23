"""What suggestions save annotators."""

from dataclasses import replace

import pytest
from agreement_table import Made, added, columns_of, deleted, kept
from hypothesis import given
from hypothesis import strategies as st

from backend.agreement.clustered import PLAIN_T, Estimate
from backend.agreement.columns import VerdictColumns
from backend.agreement.costs import default_costs
from backend.agreement.parameters import AgreementParameters
from backend.agreement.work_saved import WorkFigures, WorkSaved, work_saved

AT = (10.0, 10.0)
PARAMETERS = AgreementParameters()
NOT_MEASURED = Estimate(None, None, None, 0, 0, PLAIN_T, reason="0 of at least 10 withheld images")
NOT_YET = " The seconds saved are not measured yet: 0 of at least 10 withheld images."


def work(
    columns: VerdictColumns,
    withheld_less: Estimate = NOT_MEASURED,
    parameters: AgreementParameters = PARAMETERS,
) -> WorkSaved:
    return work_saved(columns, default_costs("no times", parameters), withheld_less, parameters)


def measured(*made: Made) -> WorkFigures:
    return work(columns_of(*made)).figures


def said(*made: Made) -> str:
    return work(columns_of(*made)).summary


EVERY_VERDICT = Made(
    1,
    [
        kept((10, 10)),
        kept((20, 10), by=7),
        deleted((30, 10)),
        kept((40, 10), final_label="tail"),
        kept((50, 10), by=7, final_label="tail"),
        added((60, 10)),
    ],
)


def test_each_verdict_counts_its_actions_and_seconds():
    found = measured(EVERY_VERDICT)
    # 0 + 1 + 1 + 1 + 2 + 2 actions, against 2 for each of 5 final points.
    assert found.actions.with_suggestions.value == 7
    assert found.actions.from_nothing.value == 10
    assert found.share_of_actions_saved.value == pytest.approx(0.3)
    # 0.5 + 2 + 2 + 2 + 3.5 + 3.3 s, against 5 · 3.3 s.
    assert found.estimated_seconds.with_suggestions.value == pytest.approx(13.3)
    assert found.estimated_seconds.from_nothing.value == pytest.approx(16.5)
    assert found.reached.value == pytest.approx(2 / 5)
    assert said(EVERY_VERDICT) == (
        "Suggestions save your team 3.0 actions an image and an estimated 3.2 s."
        " There is no interval yet: 1 of at least 5 images." + NOT_YET
    )


def test_an_image_where_all_was_deleted_counts_against_suggestions():
    # Five images save 2 of 2 actions each, one costs 4.
    made = [Made(task, [kept(AT)]) for task in range(5)]
    found = measured(*made, Made(5, [deleted(AT)] * 4))
    saved = found.share_of_actions_saved
    assert saved.value == pytest.approx(0.6)
    assert (saved.n, saved.images) == (10, 6)
    assert saved.low < 0.6 < saved.high <= 1
    assert found.actions.saved.value == pytest.approx(1.0)


def test_no_more_than_everything_can_be_saved():
    images = [Made(task, [kept(AT)] * 3 + [added(AT)] * (task == 0)) for task in range(5)]
    saved = measured(*images).share_of_actions_saved
    assert saved.low < saved.value < saved.high < 1


def test_images_without_a_final_point_do_not_give_the_share_saved_an_interval():
    found = measured(*(Made(task, [deleted(AT)] + [added(AT)] * (task < 4)) for task in range(9)))
    assert found.share_of_actions_saved.value == pytest.approx(1 - 17 / 8)
    assert found.share_of_actions_saved.reason == "4 of at least 5 images with a final point"


def test_a_suggestion_counts_under_its_suggested_label_whatever_became_of_it():
    columns = columns_of(
        Made(1, [kept((10, 10), "beak", final_label="tail"), deleted((30, 10)), added(AT, "tail")])
    )
    by_label = {each.name: each.figures for each in work(columns).by_label}
    # Relabelling takes 1 action where 2 would draw the point; the deletion takes 1 for nothing.
    assert by_label["beak"].actions.saved.value == 2 - 1 - 1
    assert by_label["beak"].reached.value == 0
    assert list(by_label) == ["beak"]  # the tail was never suggested
    assert work(columns.counting("beak")).figures == by_label["beak"]
    tail = work(columns.counting("tail")).figures
    assert (tail.actions.saved.value, tail.reached.value) == (0, None)


def test_the_work_of_the_labels_adds_up_to_that_of_all():
    made = [EVERY_VERDICT, Made(2, [kept(AT, "wing"), added(AT, "wing")]), Made(3, [deleted(AT)])]
    found = work(columns_of(*made))
    for side in ("with_suggestions", "from_nothing"):
        total = getattr(found.figures.estimated_seconds, side)
        parts = [getattr(each.figures.estimated_seconds, side) for each in found.by_label]
        assert sum(each.value * each.n for each in parts) == pytest.approx(total.value * total.n)


def test_the_largest_labels_are_listed_and_the_others_counted():
    columns = columns_of(Made(1, [kept(AT, "a"), kept(AT, "b"), deleted(AT, "b"), added(AT, "c")]))
    found = work(columns, parameters=replace(PARAMETERS, most_groups=1))
    assert [each.name for each in found.by_label] == ["b"]
    assert found.labels_left_out == 1


def test_work_is_averaged_over_the_annotators_of_an_image():
    found = measured(Made(1, [added(AT)], annotator=1), Made(1, [added(AT)] * 3, annotator=2))
    assert found.actions.with_suggestions.value == 4
    assert found.actions.with_suggestions.images == 1


def test_suggestions_that_are_all_deleted_cost_work_and_that_is_said():
    made = [Made(task, [deleted(AT)] * (1 + task % 2)) for task in range(6)]
    found = measured(*made)
    assert found.share_of_actions_saved.value is None
    assert found.share_of_actions_saved.reason == "no image has a final point"
    assert found.actions.saved.value == -1.5
    assert found.actions.saved.high < 0
    assert said(*made) == (
        "Suggestions cost your team 1.5 actions an image and an estimated 3.0 s." + NOT_YET
    )


def test_no_annotation_saves_nothing_and_says_so():
    found = measured()
    assert found.share_of_actions_saved.value is None
    assert found.share_of_actions_saved.reason == "no image contributes"
    assert found.actions.with_suggestions.value is None
    assert said() == "No annotation that started from suggestions tells what they save."


def test_nothing_but_accepted_saves_every_action():
    found = measured(*(Made(task, [kept(AT)] * 2) for task in range(6)))
    assert found.share_of_actions_saved.value == 1
    assert found.share_of_actions_saved.reason == "the images do not differ"
    assert found.actions.with_suggestions.value == 0
    assert found.estimated_seconds.saved.value == pytest.approx(2 * 2.8)
    assert found.reached.value == 1


def test_nothing_but_added_saves_nothing():
    found = measured(*(Made(task, [added(AT)]) for task in range(6)))
    assert found.share_of_actions_saved.value == 0
    assert found.estimated_seconds.saved.value == 0
    assert found.reached.value is None


def test_measured_seconds_are_those_withheld_less_those_shown():
    less = Estimate(-4.0, -6.0, -2.0, 60, 30, PLAIN_T)
    found = work(columns_of(Made(1, [kept(AT)])), less)
    assert found.measured_seconds == replace(less, value=4.0, low=2.0, high=6.0)
    assert found.summary.endswith("Measured, suggestions save 4.0 s an image (2.0 to 6.0).")


@pytest.mark.parametrize(
    ("less", "words"),
    [
        ((4.0, 2.0, 6.0), "Measured, suggestions cost 4.0 s an image (2.0 to 6.0)."),
        (
            (1.0, -2.0, 4.0),
            "Measured, an image takes 1.0 s longer with suggestions, which may be chance (saved:"
            " -4.0 to 2.0 s).",
        ),
    ],
)
def test_suggestions_that_cost_seconds_are_said_to(less, words):
    found = work(columns_of(Made(1, [kept(AT)])), Estimate(*less, 60, 30, PLAIN_T))
    assert found.summary.endswith(words)


def test_break_even_is_where_kept_suggestions_make_up_for_the_others():
    # An accepted one saves 3.3 - 0.5 s; a deleted one costs 0.5 + 1.5 s.
    plain = measured(Made(1, [kept(AT), deleted(AT)]))
    assert plain.break_even == pytest.approx(2.0 / 4.8)
    # Moving takes 1.5 s of what a kept one saves.
    moved = measured(Made(1, [kept(AT, by=7), deleted(AT)]))
    assert moved.break_even == pytest.approx(2.0 / 3.3)
    assert measured(Made(1, [kept(AT)])).break_even == pytest.approx(2.0 / 4.8)
    assert measured(Made(1, [deleted(AT)])).break_even == pytest.approx(2.0 / 4.8)
    assert measured().break_even == pytest.approx(2.0 / 4.8)
    # Relabelling saves 3.3 - 0.5 - 1.5 s: even all wrong names pay.
    assert measured(Made(1, [kept(AT, final_label="tail")])).break_even == 0
    # Kept ones take longer than drawing, wrong ones less: no share of kept ones pays.
    odd = replace(PARAMETERS, move_seconds=9.0, name_seconds=0.1)
    both = Made(1, [kept(AT, by=7), kept(AT, final_label="tail")])
    assert work(columns_of(both), parameters=odd).figures.break_even is None
    slow = replace(PARAMETERS, look_seconds=4.0)
    assert work(columns_of(EVERY_VERDICT), parameters=slow).figures.break_even is None


VERDICTS = st.sampled_from(
    [
        kept(AT),
        kept(AT, by=7),
        kept(AT, final_label="tail"),
        kept(AT, by=7, final_label="tail"),
        deleted(AT),
        added(AT),
    ]
)
SECONDS = st.floats(0.1, 9.0)


@given(st.lists(VERDICTS, min_size=1, max_size=12), st.tuples(*[SECONDS] * 5))
def test_seconds_are_saved_exactly_where_more_is_kept_than_the_break_even(verdicts, seconds):
    look, move, delete, name, more = seconds
    # A kept suggestion never takes longer than drawing its point.
    seconds = look, move, delete, name, look + move + more
    names = ("look", "move", "delete", "name", "add")
    given_costs = {f"{name}_seconds": one for name, one in zip(names, seconds, strict=True)}
    parameters = replace(PARAMETERS, **given_costs)
    found = work(columns_of(Made(1, verdicts)), parameters=parameters).figures
    saved, reached = found.estimated_seconds.saved.value, found.reached.value
    if reached is None:
        assert saved == pytest.approx(0, abs=1e-9)
    elif abs(saved) > 1e-6 and 0 < reached < 1:
        pays = found.break_even is not None and reached > found.break_even
        assert pays == (saved > 0)


def test_the_work_is_compared_by_the_images_that_the_suggestions_knew():
    columns = columns_of(
        Made(1, [deleted(AT), added((20, 20))]),
        Made(2, [kept(AT, by=3)], model_version="small-1+3-1a2b3c4d"),
        Made(3, [kept(AT)], model_version="other-2+4-00000000"),
        Made(4, [kept(AT), kept((20, 20))], model_version="small-1+60-1a2b3c4d"),
    )
    found = work(columns)
    assert [each.name for each in found.by_images_learnt] == ["none", "3 to 4", "50 to 99"]
    none, few, many = (each.figures for each in found.by_images_learnt)
    # 1 + 2 actions against 2; 1 and 0 against 2 each; 0 against 4.
    assert none.actions.saved.value == -1
    assert few.actions.saved.value == 1.5
    assert many.actions.saved.value == 4
    # 0.5 + 1.5 + 3.3 s against 3.3; 0.5 + 1.5 and 0.5 against 3.3 each; 2 · 0.5 against 2 · 3.3.
    seconds = [each.estimated_seconds.saved.value for each in (none, few, many)]
    assert seconds == pytest.approx([-2.0, 3.3 - 1.25, 5.6])
    assert [each.reached.value for each in (none, few, many)] == [0, 1, 1]


def test_the_groups_by_images_add_up_to_all():
    versions = ["small-1", "small-1+3-aa", "small-1+5-bb", "small-1+150-cc"]
    columns = columns_of(
        *(
            Made(task, [kept(AT, by=float(task % 2)), added((20, 20))], model_version=version)
            for task, version in enumerate(versions * 3)
        )
    )
    found = work(columns)
    assert [each.name for each in found.by_images_learnt] == [
        "none",
        "3 to 4",
        "5 to 7",
        "150 to 199",
    ]
    saved = [each.figures.actions.saved.value for each in found.by_images_learnt]
    assert found.figures.actions.saved.value == pytest.approx(sum(saved) / 4)
