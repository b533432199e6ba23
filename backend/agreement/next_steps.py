"""What to do next: what stands out, or what is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.agreement.clustered import Estimate
from backend.agreement.enough import Enough
from backend.agreement.group_figures import NamedGroup, PointFigures
from backend.agreement.group_tests import DifferentPair, GroupDifferences
from backend.agreement.rubber_stamping import AnnotatorHaste
from backend.agreement.wording import enumerate_names, percent_with_interval

LONGEST_LABEL = 40  # characters
MOST_NAMED = 3  # annotators
NOTHING_STANDS_OUT = "Nothing stands out, and there are enough images for the interval wanted."


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do, and the heading under which its figures stand."""

    text: str
    anchor: str


def next_steps(
    acceptance: Estimate,
    annotations: int,
    enough: Enough,
    annotators: Sequence[AnnotatorHaste],
    labels: GroupDifferences,
    by_label: Sequence[NamedGroup[PointFigures]],
) -> list[Step]:
    """List what to do, the most urgent first; empty where nothing stands out.

    Args:
        annotations: their number, also of those without a suggestion that counts here.
        annotators: empty where a filter leaves no times to judge haste by.
    """
    if acceptance.value is None and annotations:
        return [Step("look at what annotators added, as nothing was suggested here", "h-verdicts")]
    if acceptance.value is None:
        text = "have annotations submitted that started from suggestions"
        return [Step(text, "h-verdicts")]
    return [
        *_look_at_annotators(annotators),
        *_annotate_more(acceptance, enough),
        *_look_at_label(labels, by_label),
    ]


def say_next(steps: Sequence[Step]) -> str:
    """Return the two most urgent steps as a sentence."""
    if not steps:
        return NOTHING_STANDS_OUT
    return f"Next: {', then '.join(step.text for step in steps[:2])}."


def _look_at_annotators(annotators: Sequence[AnnotatorHaste]) -> Iterator[Step]:
    flagged = [each for each in annotators if each.flagged]
    if flagged:
        names = [each.annotator for each in flagged[:MOST_NAMED]]
        if len(flagged) > MOST_NAMED:
            names.append(f"{len(flagged) - MOST_NAMED} more")
        text = (
            f"look at annotator{'s' if len(flagged) > 1 else ''} {enumerate_names(names)}"
            f" ({flagged[0].annotator} submitted {percent_with_interval(flagged[0].hasty)}"
            " of annotations unchanged at once)"
        )
        yield Step(text, "h-stamping")


def _annotate_more(acceptance: Estimate, enough: Enough) -> Iterator[Step]:
    width = f"± {100 * enough.half_width:g} points"
    low, high = acceptance.low, acceptance.high
    if low is not None and high is not None and high - low <= 2 * enough.half_width:
        return
    if enough.images_needed is None:
        text = f"annotate more images, for an interval of {width} on the acceptance"
        yield Step(f"{text} ({enough.reason})", "enough")
        return
    missing = max(1, enough.images_needed - enough.images)
    yield Step(
        f"annotate about {missing:,} more image{'s' if missing > 1 else ''}, for an interval of"
        f" {width} on the acceptance",
        "enough",
    )


def _look_at_label(
    labels: GroupDifferences, by_label: Sequence[NamedGroup[PointFigures]]
) -> Iterator[Step]:
    """Name the label with the lowest acceptance of those that a test of pairs tells apart."""
    acceptance = {each.name: each.figures.acceptance.untouched for each in by_label}
    pairs = [_lower_first(each, acceptance) for each in labels.pairs]
    known = [(acceptance[lower], lower, higher) for lower, higher in filter(None, pairs)]
    if known:
        share, lower, higher = min(known, key=lambda each: each[0].value or 0.0)
        yield Step(
            f"look at the label {_quoted(lower)}: {percent_with_interval(share)} of its suggestions"
            f" were kept untouched, fewer than of {_quoted(higher)}",
            "h-groups",
        )


def _lower_first(pair: DifferentPair, acceptance: dict[str, Estimate]) -> tuple[str, str] | None:
    """Return the labels of a pair, that of lower acceptance first; None unless both are known."""
    values = []
    for name in (pair.first, pair.second):
        found = acceptance.get(name)
        if found is None or found.value is None or found.low is None:
            return None
        values.append(found.value)
    return (pair.first, pair.second) if values[0] < values[1] else (pair.second, pair.first)


def _quoted(label: str) -> str:
    text = " ".join(label.split()) or "(no label)"
    return f"“{text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + '…'}”"
