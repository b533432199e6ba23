"""What suggestions save annotators."""

import pytest
from agreement_table import Made, added, columns_of, deleted, kept

from backend.agreement.parameters import AgreementParameters
from backend.agreement.work_saved import WorkSaved, break_even, work_saved

AT = (10.0, 10.0)


def measured(*made: Made) -> WorkSaved:
    return work_saved(columns_of(*made), AgreementParameters())


def test_each_verdict_counts_its_actions_and_seconds():
    found = measured(
        Made(
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
    )
    # 0 + 1 + 1 + 1 + 2 + 2 actions, against 2 for each of 5 final points.
    assert found.actions.with_suggestions.value == 7
    assert found.actions.from_nothing.value == 10
    assert found.share_of_actions_saved.value == pytest.approx(0.3)
    # 0.5 + 2 + 2 + 2 + 3.5 + 3.3 s, against 5 · 3.3 s.
    assert found.estimated_seconds.with_suggestions.value == pytest.approx(13.3)
    assert found.estimated_seconds.from_nothing.value == pytest.approx(16.5)
    assert found.reached.value == pytest.approx(2 / 5)
    assert found.summary == (
        "Suggestions save your team 3.0 actions an image and an estimated 3.2 s."
        " There is no interval yet: 1 of at least 5 images."
    )


def test_an_image_where_all_was_deleted_counts_against_suggestions():
    # Five images save 2 of 2 actions each, one costs 4.
    made = [Made(task, [kept(AT)]) for task in range(5)]
    found = measured(*made, Made(5, [deleted(AT)] * 4))
    saved = found.share_of_actions_saved
    assert saved.value == pytest.approx(0.6)
    assert (saved.n, saved.images) == (10, 6)
    assert saved.low < 0.6 < saved.high
    assert found.actions.saved.value == pytest.approx(1.0)


def test_images_without_a_final_point_do_not_give_the_share_saved_an_interval():
    found = measured(*(Made(task, [deleted(AT)] + [added(AT)] * (task < 4)) for task in range(9)))
    assert found.share_of_actions_saved.value == pytest.approx(1 - 17 / 8)
    assert found.share_of_actions_saved.reason == "4 of at least 5 images with a final point"


def test_a_label_filter_counts_each_verdict_under_its_final_label():
    columns = columns_of(Made(1, [kept((10, 10), "beak", final_label="tail"), deleted((30, 10))]))
    beak, tail = (
        work_saved(columns.counting(label), AgreementParameters()).actions.saved.value
        for label in ("beak", "tail")
    )
    assert (beak, tail) == (-1, 1)


def test_work_is_averaged_over_the_annotators_of_an_image():
    found = measured(Made(1, [added(AT)], annotator=1), Made(1, [added(AT)] * 3, annotator=2))
    assert found.actions.with_suggestions.value == 4
    assert found.actions.with_suggestions.images == 1


def test_suggestions_that_are_all_deleted_cost_work_and_that_is_said():
    found = measured(*(Made(task, [deleted(AT)] * (1 + task % 2)) for task in range(6)))
    assert found.share_of_actions_saved.value is None
    assert found.share_of_actions_saved.reason == "no image has a final point"
    assert found.actions.saved.value == -1.5
    assert found.actions.saved.high < 0
    assert found.summary == (
        "Suggestions cost your team 1.5 actions an image and an estimated 3.0 s."
    )


def test_no_annotation_saves_nothing_and_says_so():
    found = measured()
    assert found.share_of_actions_saved.value is None
    assert found.share_of_actions_saved.reason == "no image contributes"
    assert found.actions.with_suggestions.value is None
    assert found.summary == "No annotation that started from suggestions tells what they save."


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


def test_the_break_even_share_follows_from_the_costs():
    assert break_even(AgreementParameters()) == pytest.approx(2.0 / 3.3)
    assert break_even(AgreementParameters(look_seconds=4.0)) is None
    assert break_even(AgreementParameters(add_seconds=0.0)) is None
