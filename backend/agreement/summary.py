"""Say in five sentences what the figures carry: what was found, and what to do next.

Each sentence is worded by its interval. Where that includes "no difference", or there is none, the
sentence says that it cannot be told, not what the figure alone would suggest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from backend.agreement.anchoring import Anchoring
from backend.agreement.clustered import Estimate
from backend.agreement.group_figures import AnnotationFigures, PointFigures
from backend.agreement.next_steps import Step, say_next
from backend.agreement.wording import (
    number_with_interval,
    percent_with_interval,
    plain_number,
    points_with_interval,
)
from backend.agreement.work_saved import WorkSaved


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence about the figures.

    Attributes:
        about: acceptance, work_saved, quality, anchoring or next.
        anchor: id of the place in the report where these figures stand.
    """

    about: str
    text: str
    anchor: str


def summarise(
    overall: AnnotationFigures,
    work: WorkSaved,
    anchoring: Anchoring,
    steps: Sequence[Step],
    *,
    of_one_label: bool = False,
) -> list[Sentence]:
    """Return five sentences: acceptance, work saved, quality, anchoring, and what to do next.

    Args:
        overall: figures of all annotations.
        steps: what to do, the most urgent first.
        of_one_label: whether a filter leaves the points of one label; times are those of all.
    """
    agreement = overall.agreement
    kept = say_acceptance(agreement.acceptance.untouched, overall.annotations)
    seconds = None if of_one_label else work.measured_seconds
    anchor = steps[0].anchor if steps else "h-verdicts"
    return [
        Sentence("acceptance", kept, "h-verdicts"),
        Sentence(
            "work_saved",
            say_work_saved(work.figures.actions.saved, seconds),
            "h-work-saved",
        ),
        Sentence("quality", say_quality(agreement), "h-groups"),
        Sentence("anchoring", say_anchoring(anchoring), "h-anchoring"),
        Sentence("next", say_next(steps), anchor),
    ]


def say_acceptance(untouched: Estimate, annotations: int) -> str:
    """Say which share of suggestions annotators left as they were.

    Args:
        annotations: their number, also of those without a suggestion that counts here.
    """
    if untouched.value is None and annotations:
        return "Nothing was suggested here that annotators could keep."
    if untouched.value is None:
        return "No suggestion has been judged yet."
    if untouched.low is None:
        kept = round(untouched.value * untouched.n)
        return (
            f"In {kept:,} of {untouched.n:,} judgements annotators kept the suggestion untouched,"
            f" which has no interval yet ({untouched.reason})."
        )
    return f"Annotators kept {percent_with_interval(untouched)} of suggestions untouched."


def say_work_saved(saved: Estimate, seconds: Estimate | None) -> str:
    """Say whether suggestions save work, or cost some.

    Args:
        saved: actions saved an image, against drawing the same points from nothing.
        seconds: lead time where suggestions were withheld less where they were shown; None where
            it is not about the same points.
    """
    return f"{_say_actions(saved)}{_say_seconds(seconds)}."


def _say_actions(saved: Estimate) -> str:
    if saved.value is None:
        return f"Whether suggestions save work cannot be told yet: {saved.reason}"
    if saved.low is None or saved.high is None:
        so_far = f"{plain_number(abs(saved.value))} actions an image"
        so_far += " saved" if saved.value >= 0 else " more than from nothing"
        return f"Whether suggestions save work cannot be told yet: {so_far} ({saved.reason})"
    if saved.low > 0:
        found = number_with_interval(saved, "actions an image")
        return f"Suggestions save {found}, against drawing the same points from nothing"
    if saved.high < 0:
        found = number_with_interval(_times(-1, saved), "actions an image")
        return f"Suggestions cost {found} more than drawing the same points from nothing"
    return (
        "Whether suggestions save or cost work cannot be told yet: the actions from nothing less"
        f" those with suggestions are {number_with_interval(saved, 'an image')}, which may be"
        " chance"
    )


def _say_seconds(saved: Estimate | None) -> str:
    """Say by how much annotators were faster or slower, where that is known to be one of both."""
    if saved is None:
        return ""
    if saved.low is not None and saved.low > 0:
        return f"; with them annotators took {number_with_interval(saved, 's')} less than without"
    if saved.high is not None and saved.high < 0:
        longer = number_with_interval(_times(-1, saved), "s")
        return f"; with them annotators took {longer} longer than without"
    return ""


def say_quality(agreement: PointFigures) -> str:
    """Say how well suggestions match the final points: F1, and the distance of kept ones."""
    f1, error = agreement.f1, agreement.normalised_error.image
    if f1.value is None:
        reason = f1.reason if agreement.points.judged else "none was judged"
        return f"How well suggestions match the final points cannot be told yet: {reason}."
    if f1.low is None:
        first = f"F1 of suggestions and final points is {plain_number(100 * f1.value)} % so far"
        return f"{first}, which has no interval yet ({f1.reason})."
    first = f"F1 of suggestions and final points is {percent_with_interval(f1)}"
    if error.low is None:
        return f"{first}; the distance of kept points has no interval ({error.reason})."
    distance = _times(100, error)
    moved = number_with_interval(distance, "% of the image's longer side")
    return f"{first}; kept points were moved by {moved} on average."


def say_anchoring(anchoring: Anchoring) -> str:
    """Say whether F1 is higher where annotators saw the suggestions."""
    found = anchoring.difference
    if not anchoring.withheld.annotations:
        return (
            "No suggestions withheld: whether annotators follow what they are shown cannot be told."
        )
    if found.value is None or found.low is None or found.high is None:
        return f"Whether annotators follow what they are shown cannot be told yet: {found.reason}."
    if found.low > 0:
        return (
            f"Annotators follow what they are shown: F1 is {points_with_interval(found)} higher"
            " than where suggestions were withheld."
        )
    if found.high < 0:
        return (
            f"F1 is {points_with_interval(_times(-1, found))} lower where suggestions were shown"
            " than where they were withheld, which seeing them does not explain."
        )
    return (
        "Whether annotators follow what they are shown cannot be told yet: F1 where suggestions"
        f" were shown less F1 where they were withheld is {points_with_interval(found)}, which may"
        " be chance."
    )


def _times(factor: float, figure: Estimate) -> Estimate:
    """Return a figure that has an interval, times a factor."""
    assert figure.value is not None and figure.low is not None and figure.high is not None
    low, high = sorted((factor * figure.low, factor * figure.high))
    return replace(figure, value=factor * figure.value, low=low, high=high)
