"""What the report says should be done next."""

from dataclasses import replace

import pytest
from agreement_table import MOMENT, Made, kept, table_of

from backend.agreement.clustered import WILSON, Estimate
from backend.agreement.comparisons import CHI_SQUARE, GroupTest
from backend.agreement.enough import Enough
from backend.agreement.figures import agreement_report
from backend.agreement.group_figures import NamedGroup, PointFigures
from backend.agreement.group_tests import DifferentPair, GroupDifferences
from backend.agreement.next_steps import NOTHING_STANDS_OUT, next_steps, say_next
from backend.agreement.parameters import AgreementParameters
from backend.agreement.rubber_stamping import AnnotatorHaste

ACCEPTANCE = Estimate(0.7, 0.66, 0.74, 900, 90, WILSON)
WIDE = Estimate(0.7, 0.5, 0.85, 90, 9, WILSON)
ENOUGH = Enough(0.05, 90, 57, None)
ALIKE = GroupDifferences(GroupTest(0.4, 2, 90, CHI_SQUARE), 0, (), ())


def differing(*pairs: tuple[str, str]) -> GroupDifferences:
    test = GroupTest(0.001, 3, 90, CHI_SQUARE)
    return GroupDifferences(test, 0, (), [DifferentPair(*pair, p=0.01) for pair in pairs])


def hasty(name: str, *, flagged: bool = True) -> AnnotatorHaste:
    share = Estimate(0.8, 0.62, 0.91, 40, 40, WILSON)
    return AnnotatorHaste(name, share, 0.1, flagged)


@pytest.fixture
def by_label() -> list[NamedGroup[PointFigures]]:
    """Three labels, whose acceptance is 20, 50 and 90 %."""
    table = table_of(Made(1, [kept((10, 10))]))
    [group] = agreement_report(table, AgreementParameters(), made_at=MOMENT).by.label
    return [
        NamedGroup(
            name,
            replace(
                group.figures,
                acceptance=replace(
                    group.figures.acceptance,
                    untouched=Estimate(value, value - 0.08, value + 0.08, 100, 20, WILSON),
                ),
            ),
        )
        for name, value in (("beak", 0.2), ("tail", 0.5), ("wing", 0.9))
    ]


def said(
    acceptance=ACCEPTANCE, enough=ENOUGH, annotators=(), labels=ALIKE, by_label=(), annotations=90
) -> str:
    return say_next(next_steps(acceptance, annotations, enough, annotators, labels, by_label))


def test_without_a_judgement_somebody_has_to_submit_one_first():
    nothing = Estimate(None, None, None, 0, 0, WILSON)
    assert said(nothing, annotations=0) == (
        "Next: have annotations submitted that started from suggestions."
    )


def test_where_nothing_was_suggested_no_image_is_asked_for():
    nothing = Estimate(None, None, None, 0, 0, WILSON)
    assert said(nothing, annotations=7) == (
        "Next: look at what annotators added, as nothing was suggested here."
    )


def test_nothing_is_to_be_done_where_nothing_stands_out(by_label):
    assert said(annotators=[hasty("3", flagged=False)], by_label=by_label) == NOTHING_STANDS_OUT


def test_a_wide_interval_asks_for_the_images_that_are_missing():
    assert said(WIDE, Enough(0.05, 9, 86, None)) == (
        "Next: annotate about 77 more images, for an interval of ± 5 points on the acceptance."
    )
    # The estimate says that there are enough, the interval itself is still too wide.
    assert said(WIDE, Enough(0.05, 9, 9, None)) == (
        "Next: annotate about 1 more image, for an interval of ± 5 points on the acceptance."
    )


def test_where_the_number_of_images_cannot_be_told_no_number_is_given():
    few = Estimate(0.7, None, None, 3, 3, WILSON)
    assert said(few, Enough(0.05, 3, None, "3 of at least 5 images")) == (
        "Next: annotate more images, for an interval of ± 5 points on the acceptance"
        " (3 of at least 5 images)."
    )


def test_a_narrow_interval_of_judgements_that_are_all_alike_is_enough():
    alike = Estimate(1.0, 0.97, 1.0, 500, 100, WILSON)
    assert said(alike, Enough(0.05, 100, None, "all suggestions were judged alike")) == (
        NOTHING_STANDS_OUT
    )


def test_flagged_annotators_come_first():
    assert said(WIDE, Enough(0.05, 9, 86, None), [hasty("3"), hasty("1", flagged=False)]) == (
        "Next: look at annotator 3 (3 submitted 80 % (62 to 91 %) of annotations unchanged at"
        " once), then annotate about 77 more images, for an interval of ± 5 points on the"
        " acceptance."
    )
    text = said(annotators=[hasty(str(number)) for number in range(3, 8)])
    assert text.startswith("Next: look at annotators 3, 4, 5 and 2 more (3 submitted")


def test_a_label_is_named_only_where_a_test_of_pairs_tells_it_apart(by_label):
    assert said(labels=differing(), by_label=by_label) == NOTHING_STANDS_OUT
    labels = differing(("wing", "tail"), ("beak", "wing"))
    assert said(labels=labels, by_label=by_label) == (
        "Next: look at the label “beak”: 20 % (12 to 28 %) of its suggestions were kept"
        " untouched, fewer than of “wing”."
    )
    # A pair of labels that the table does not list.
    assert said(labels=differing(("crown", "beak")), by_label=by_label) == NOTHING_STANDS_OUT


def test_a_step_leads_to_its_figures(by_label):
    labels = differing(("beak", "wing"))
    steps = next_steps(WIDE, 9, Enough(0.05, 9, 86, None), [hasty("3")], labels, by_label)
    assert [step.anchor for step in steps] == ["h-stamping", "enough", "h-groups"]
