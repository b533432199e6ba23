"""What each annotator does, beside the others: flags and ranges, no verdicts on people.

Annotators are not sampled, so every interval holds for these annotators. How far one of them lies
from another is therefore given as a range beside the figures of all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from backend.agreement.anchoring import StratumName, first_withheld
from backend.agreement.clustered import (
    WILSON,
    WOODRUFF,
    Estimate,
    geometric_seconds,
    log_times,
    quantile,
    ratio,
    share,
)
from backend.agreement.columns import Flags, Floats, Integers, VerdictColumns
from backend.agreement.comparisons import Stratum, difference_stratified
from backend.agreement.limits import Limits
from backend.agreement.linearised import Linearised, linearise
from backend.agreement.meetings import Meeting
from backend.agreement.parameters import AgreementParameters
from backend.agreement.rubber_stamping import RubberStamping
from backend.agreement.submissions import Submissions, annotator_names

NOT_SHARED = "shares no withheld task with others"
NOT_OF_LABEL = "not known under a filter by label"
HASTY = "hasty"


@dataclass(frozen=True, slots=True)
class ShownLessWithheld:
    """What an annotator's figures are with suggestions, less what they are without."""

    f1: Estimate
    seconds: Estimate


@dataclass(frozen=True, slots=True)
class AnnotatorFigures:
    """The figures of one annotator.

    Attributes:
        annotations: those that began as the suggestions.
        withheld: those whose suggestions were withheld.
        seconds_a_point: median of lead time over points; times that are no work are left out.
        acceptance: share of judged suggestions left untouched.
        unchanged: share of annotations submitted as suggested.
        hasty: share of annotations of known time submitted unchanged faster than one can look.
        f1: of suggestions against final points.
        f1_with_others: of the annotator's points against those of others on withheld tasks.
        shown_less_withheld: within project and model version.
        flags: reasons to look; "hasty" as in `rubber_stamping`.
    """

    annotator: str
    annotations: int
    withheld: int
    seconds_a_point: Estimate
    acceptance: Estimate
    unchanged: Estimate
    hasty: Estimate
    f1: Estimate
    f1_with_others: Estimate
    shown_less_withheld: ShownLessWithheld
    flags: Sequence[str]


@dataclass(frozen=True, slots=True)
class AnnotatorRange:
    """The lowest and the highest figure of those annotators whose figure has an interval.

    Attributes:
        annotators: how many these are; without two of them there is no range.
    """

    lowest: float | None
    highest: float | None
    annotators: int

    @classmethod
    def of(cls, estimates: Sequence[Estimate]) -> "AnnotatorRange":
        """Find the ends; every annotator has one estimate."""
        values = [
            each.value for each in estimates if each.value is not None and each.low is not None
        ]
        if len(values) < 2:
            return cls(None, None, len(values))
        return cls(min(values), max(values), len(values))


@dataclass(frozen=True, slots=True)
class Annotators:
    """The annotators with the most annotations, the largest first.

    Attributes:
        left_out: annotators who are not listed.
        acceptance, f1: range over those listed.
    """

    annotators: Sequence[AnnotatorFigures]
    left_out: int
    acceptance: AnnotatorRange
    f1: AnnotatorRange


@dataclass(frozen=True)
class _Side:
    """Annotations with, or without, suggestions, one number each.

    Attributes:
        number: of the annotator, -1 for one who is not listed.
        hits, points: of F1, of the newest state.
        stratum: number of project and model version; -1 for one without withheld tasks.
        seconds: lead times of first submissions; NaN for other states.
    """

    columns: VerdictColumns
    number: Integers
    hits: Floats
    points: Floats
    stratum: Integers
    seconds: Floats

    @classmethod
    def of(
        cls,
        columns: VerdictColumns,
        names: NDArray[np.str_],
        listed: Sequence[str],
        strata: Sequence[StratumName],
    ) -> "_Side":
        newest, annotations = columns.newest_states, len(columns.annotations)
        place = {name: number for number, name in enumerate(listed)}
        places = {name: number for number, name in enumerate(strata)}
        hits = newest.suggested_hit.astype(np.int8) + newest.final_hit
        points = newest.suggested.astype(np.int8) + newest.final
        seconds = np.array([each.lead_time for each in columns.annotations], np.float64)
        return cls(
            columns=columns,
            number=np.array([place.get(name, -1) for name in names.tolist()], np.int64),
            hits=np.bincount(newest.annotation, hits, minlength=annotations).astype(np.float64),
            points=np.bincount(newest.annotation, points, minlength=annotations).astype(np.float64),
            stratum=np.array(
                [places.get(each.stratum, -1) for each in columns.annotations], np.int64
            ),
            seconds=np.where(columns.is_first, seconds, np.nan),
        )

    def count(self, number: int) -> int:
        """Count an annotator's annotations."""
        return int(np.count_nonzero((self.number == number) & self.columns.is_newest))

    def sums(self, values: Floats | Integers | Flags, chosen: Flags) -> Floats:
        """Sum numbers of the chosen annotations by image."""
        return np.bincount(self.columns.image[chosen], values[chosen]).astype(np.float64)

    def f1(self, chosen: Flags) -> Linearised | None:
        """Return F1 of the chosen annotations."""
        return linearise(self.sums(self.hits, chosen), self.sums(self.points, chosen))

    def geometric_mean(self, chosen: Flags, limits: Limits) -> Linearised | None:
        """Return the geometric mean of their lead times, s."""
        timed = chosen & np.isfinite(self.seconds)
        found = log_times(self.seconds[timed], self.columns.image[timed], limits)
        return None if found is None else geometric_seconds(found)


def annotators(
    shown: VerdictColumns,
    withheld: VerdictColumns,
    met: Sequence[Meeting],
    stamping: RubberStamping,
    parameters: AgreementParameters,
    submitted: Submissions | None = None,
) -> Annotators:
    """Compute the figures of each annotator.

    Args:
        met: annotators who met on withheld tasks.
        stamping: of `shown`, which says who is flagged.
        submitted: of `shown`; None to compute them.
    """
    submitted = submitted or Submissions.of(shown, parameters)
    names = (submitted.annotator, annotator_names(withheld))
    sizes = _sizes(zip(names, (shown.is_newest, withheld.is_newest), strict=True))
    listed = sorted(sizes, key=lambda name: (-sizes[name], name))[: parameters.most_groups]
    since = first_withheld(withheld)
    sides = [
        _Side.of(columns, of_side, listed, list(since))
        for columns, of_side in zip((shown, withheld), names, strict=True)
    ]
    flagged = {each.annotator for each in stamping.annotators if each.flagged}
    compared = _compared(sides[0], list(since.values()))
    found = [
        AnnotatorFigures(
            annotator=name,
            annotations=sides[0].count(number),
            withheld=sides[1].count(number),
            **_with_suggestions(number, sides[0], submitted, parameters.limits),
            f1_with_others=_with_others(name, met, parameters.limits),
            shown_less_withheld=_difference(number, sides, compared, len(since), parameters.limits),
            flags=[HASTY] if name in flagged else [],
        )
        for number, name in enumerate(listed)
    ]
    return Annotators(
        annotators=found,
        left_out=len(sizes) - len(found),
        acceptance=AnnotatorRange.of([each.acceptance for each in found]),
        f1=AnnotatorRange.of([each.f1 for each in found]),
    )


def _sizes(sides: Iterable[tuple[NDArray[np.str_], Flags]]) -> dict[str, int]:
    """Count the annotations of each known annotator, given names and which states are newest."""
    found: Counter[str] = Counter()
    for names, newest in sides:
        found.update(names[newest].tolist())
    return {name: size for name, size in found.items() if name}


def _compared(shown: _Side, since: Sequence[datetime]) -> Flags:
    """Return which annotations are not older than the first withheld one of their stratum."""
    annotations = shown.columns.annotations
    return np.array(
        [
            number >= 0 and each.updated_at >= since[number]
            for number, each in zip(shown.stratum.tolist(), annotations, strict=True)
        ],
        bool,
    )


def _with_suggestions(
    number: int, shown: _Side, first: Submissions, limits: Limits
) -> dict[str, Estimate]:
    """Return the figures of annotations that began as the suggestions, by name."""
    own, image = shown.number == number, shown.columns.image
    timed = own & (first.points > 0) & (first.seconds > 0)
    timed &= first.seconds <= limits.longest_seconds
    rate = quantile(first.seconds[timed] / first.points[timed], image[timed], 0.5, limits)
    left_out = int(np.count_nonzero(own & (first.points > 0)) - np.count_nonzero(timed))
    f1 = ratio(
        shown.sums(shown.hits, own), shown.sums(shown.points, own), scale="share", limits=limits
    )

    def of(won: Integers | Flags, tried: Integers | Flags) -> Estimate:
        return share(shown.sums(won, own), shown.sums(tried, own), limits)

    return {
        "seconds_a_point": replace(rate, left_out=left_out),
        "acceptance": of(first.accepted, first.suggested),
        "unchanged": of(first.unchanged, first.judged),
        "hasty": of(first.hasty, first.timed),
        "f1": f1,
    }


def _with_others(name: str, met: Sequence[Meeting], limits: Limits) -> Estimate:
    """Return F1 of an annotator's points with those of others: mean over tasks."""
    own = [each for each in met if name in each.names]
    tasks, of = np.unique([each.task for each in own], return_inverse=True)
    image = np.zeros(len(tasks), np.int64)
    image[of] = [each.image for each in own]
    means = np.bincount(of, [each.f1 for each in own]) / np.bincount(of)
    found = ratio(np.bincount(image, means), np.bincount(image), scale="share", limits=limits)
    return found if own else replace(found, reason=NOT_SHARED)


def _difference(
    number: int, sides: Sequence[_Side], compared: Flags, strata: int, limits: Limits
) -> ShownLessWithheld:
    """Compare an annotator's tasks with and without suggestions, as `anchoring` does for all."""
    shown, withheld = sides
    parts = [
        (
            (shown.number == number) & compared & (shown.stratum == stratum),
            (withheld.number == number) & (withheld.stratum == stratum),
        )
        for stratum in range(strata)
    ]

    def difference(part: Callable[[_Side, Flags], Linearised | None]) -> Estimate:
        found = [Stratum(part(shown, one), part(withheld, other)) for one, other in parts]
        return difference_stratified(found, limits)

    return ShownLessWithheld(
        f1=difference(_Side.f1),
        seconds=difference(lambda side, chosen: side.geometric_mean(chosen, limits)),
    )


def without_times(found: Annotators) -> Annotators:
    """Return the figures without those that rest on whole annotations, for a filter by label."""
    unknown = Estimate(None, None, None, 0, 0, WOODRUFF, reason=NOT_OF_LABEL)
    return replace(
        found,
        annotators=[
            replace(
                each,
                seconds_a_point=unknown,
                unchanged=replace(unknown, method=WILSON),
                hasty=replace(unknown, method=WILSON),
                flags=[],
            )
            for each in found.annotators
        ],
    )
