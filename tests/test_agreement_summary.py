"""The sentences at the top of the report: none says more than its interval."""

from dataclasses import replace

import pytest
from agreement_table import MOMENT, Made, added, deleted, kept, table_of

from backend.agreement.anchoring import Anchoring
from backend.agreement.clustered import PLAIN_T, WILSON, Estimate
from backend.agreement.figures import AgreementReport, agreement_report
from backend.agreement.parameters import AgreementParameters
from backend.agreement.summary import (
    say_acceptance,
    say_anchoring,
    say_quality,
    say_work_saved,
)

NOTHING = Estimate(None, None, None, 0, 0, WILSON, reason="no image contributes")


def report_of(*made: Made) -> AgreementReport:
    return agreement_report(table_of(*made), AgreementParameters(), made_at=MOMENT)


def estimate(value, low=None, high=None, *, n=100, reason=None) -> Estimate:
    return Estimate(value, low, high, n, 10, WILSON, reason=reason)


def test_acceptance_is_given_with_its_interval():
    assert say_acceptance(estimate(0.72, 0.64, 0.79), 9) == (
        "Annotators kept 72 % (64 to 79 %) of suggestions untouched."
    )


def test_acceptance_without_an_interval_is_a_count():
    assert say_acceptance(estimate(5 / 7, n=7, reason="1 of at least 2 images"), 1) == (
        "In 5 of 7 judgements annotators kept the suggestion untouched, which has no interval yet"
        " (1 of at least 2 images)."
    )
    assert say_acceptance(NOTHING, 0) == "No suggestion has been judged yet."
    assert say_acceptance(NOTHING, 5) == "Nothing was suggested here that annotators could keep."


def test_work_counts_as_saved_or_as_cost_only_where_the_interval_excludes_0():
    assert say_work_saved(estimate(2.5, 1.2, 3.8), NOTHING) == (
        "Suggestions save 2.5 actions an image (1.2 to 3.8), against drawing the same points from"
        " nothing."
    )
    assert say_work_saved(estimate(-2.5, -3.8, -1.2), NOTHING) == (
        "Suggestions cost 2.5 actions an image (1.2 to 3.8) more than drawing the same points from"
        " nothing."
    )
    for value in (-0.5, 0.5):
        text = say_work_saved(estimate(value, -1.5, 1.5), NOTHING)
        assert text.startswith("Whether suggestions save or cost work cannot be told yet: ")
        assert f"{value:.1f} an image (-1.5 to 1.5), which may be chance." in text
    # An end of exactly 0 does not exclude it.
    assert "cannot be told" in say_work_saved(estimate(1.0, 0.0, 2.0), NOTHING)
    assert "cannot be told" in say_work_saved(estimate(-1.0, -2.0, 0.0), NOTHING)


def test_work_without_an_interval_is_not_said_to_be_saved():
    few = "4 of at least 5 images"
    assert say_work_saved(estimate(2.5, reason=few), NOTHING) == (
        "Whether suggestions save work cannot be told yet: 2.5 actions an image saved (4 of at"
        " least 5 images)."
    )
    assert "2.5 actions an image more than from nothing" in say_work_saved(
        estimate(-2.5, reason=few), NOTHING
    )
    assert say_work_saved(NOTHING, NOTHING) == (
        "Whether suggestions save work cannot be told yet: no image contributes."
    )


def test_seconds_are_added_only_where_their_interval_excludes_0():
    """They may say the opposite of the actions: then both are said."""
    saved = estimate(2.5, 1.2, 3.8)
    assert say_work_saved(saved, estimate(4.0, 1.0, 7.0)).endswith(
        "from nothing; with them annotators took 4.0 s (1.0 to 7.0) less than without."
    )
    assert say_work_saved(saved, estimate(-4.0, -7.0, -1.0)).endswith(
        "from nothing; with them annotators took 4.0 s (1.0 to 7.0) longer than without."
    )
    for unclear in (estimate(4.0, -1.0, 9.0), estimate(4.0, reason="few"), estimate(4.0, 0.0, 8.0)):
        assert say_work_saved(saved, unclear).endswith("from nothing.")


@pytest.fixture
def agreement():
    made = [Made(task, [kept((10, 10), by=task % 3)]) for task in range(6)]
    found = report_of(*made).overall.figures.agreement
    return replace(found, f1=estimate(0.82, 0.78, 0.86))


def with_error(agreement, error: Estimate):
    return replace(agreement, normalised_error=replace(agreement.normalised_error, image=error))


def test_quality_is_f1_and_the_distance_of_kept_points(agreement):
    assert say_quality(with_error(agreement, estimate(0.0123, 0.0101, 0.0149))) == (
        "F1 of suggestions and final points is 82 % (78 to 86 %); kept points were moved by 1.2 %"
        " of the image's longer side (1.0 to 1.5) on average."
    )
    assert say_quality(with_error(agreement, NOTHING)) == (
        "F1 of suggestions and final points is 82 % (78 to 86 %); the distance of kept points has"
        " no interval (no image contributes)."
    )


def test_quality_without_an_interval_says_why(agreement):
    few = estimate(2 / 3, reason="3 of at least 5 images")
    assert say_quality(replace(agreement, f1=few)) == (
        "F1 of suggestions and final points is 66.7 % so far, which has no interval yet (3 of at"
        " least 5 images)."
    )
    assert say_quality(replace(agreement, f1=NOTHING)) == (
        "How well suggestions match the final points cannot be told yet: no image contributes."
    )


@pytest.fixture
def withheld() -> Anchoring:
    return report_of(Made(1, [kept((10, 10))], shown=False)).anchoring


def between(anchoring: Anchoring, *ends: float, reason: str | None = None) -> str:
    found = Estimate(*ends, 50, 20, PLAIN_T) if ends else replace(NOTHING, reason=reason)
    return say_anchoring(replace(anchoring, difference=found))


def test_anchoring_is_claimed_only_where_the_interval_excludes_0(withheld):
    assert between(withheld, 0.12, 0.05, 0.19) == (
        "Annotators follow what they are shown: F1 is 12 points (5 to 19) higher than where"
        " suggestions were withheld."
    )
    assert between(withheld, -0.12, -0.19, -0.05) == (
        "F1 is 12 points (5 to 19) lower where suggestions were shown than where they were"
        " withheld, which seeing them does not explain."
    )
    assert between(withheld, 0.02, -0.03, 0.07) == (
        "Whether annotators follow what they are shown cannot be told yet: F1 where suggestions"
        " were shown less F1 where they were withheld is 2 points (-3 to 7), which may be chance."
    )
    assert "cannot be told" in between(withheld, 0.02, 0.0, 0.04)


def test_anchoring_that_was_not_measured_says_why(withheld):
    assert between(withheld, reason="7 more withheld images needed") == (
        "Whether annotators follow what they are shown cannot be told yet: 7 more withheld images"
        " needed."
    )
    assert say_anchoring(report_of().anchoring) == (
        "No suggestions withheld: whether annotators follow what they are shown cannot be told."
    )


def test_a_report_of_nothing_claims_nothing():
    assert [each.text for each in report_of().summary()] == [
        "No suggestion has been judged yet.",
        "Whether suggestions save work cannot be told yet: no image contributes.",
        "How well suggestions match the final points cannot be told yet: none was judged.",
        "No suggestions withheld: whether annotators follow what they are shown cannot be told.",
        "Next: have annotations submitted that started from suggestions.",
    ]


def test_the_sentences_of_a_report_give_its_figures():
    points = [kept((10, 10)), kept((20, 20), by=9), deleted((30, 30)), added((40, 40))]
    report = report_of(*(Made(task, points[task % 2 :]) for task in range(12)))
    found = {each.about: each.text for each in report.summary()}
    assert list(found) == ["acceptance", "work_saved", "quality", "anchoring", "next"]
    # 6 of 30 suggestions; images in turn save 6 - 4 and 4 - 4 actions.
    assert found["acceptance"].startswith("Annotators kept 20 % (")
    assert found["work_saved"].startswith("Suggestions save 1.0 actions an image (0.")
    assert report.as_json()["summary"][0] == {
        "about": "acceptance",
        "text": found["acceptance"],
        "anchor": "h-verdicts",
    }


def test_a_filter_by_label_flags_nobody():
    """Times are those of whole annotations, which the points of one label cannot be set against."""
    hasty = [Made(task, [kept((10, 10))] * 5, lead_time=1.0) for task in range(30)]
    others = [
        Made(task, [kept((10, 10))] * 5, lead_time=60.0, annotator=2) for task in range(30, 60)
    ]
    report = report_of(*hasty, *others)
    assert "look at annotator 1" in report.summary()[-1].text
    label = replace(report, filters=replace(report.filters, label="beak"))
    assert "annotator" not in label.summary()[-1].text


def test_a_filter_by_label_leaves_out_the_seconds_of_whole_annotations():
    made = [
        Made(task, [kept((10, 10))], shown=task < 30, lead_time=10.0 + task % 5 + 30 * (task >= 30))
        for task in range(60)
    ]
    made = [replace(each, updated_at=MOMENT) for each in made]
    report = report_of(*made)
    assert "less than without" in report.summary()[1].text
    label = replace(report, filters=replace(report.filters, label="beak"))
    assert "without" not in label.summary()[1].text
