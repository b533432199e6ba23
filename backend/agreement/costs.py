"""What the actions of annotators cost this team, from their lead times.

The lead time of an annotation is taken for the sum of its parts: a time of its annotator's own for
each annotation, and a cost for each look at a suggestion, move, deletion, choice of a label and
drawn point. The costs are those that fit the logarithms of the lead times best, none below 0, with
little weight for times that are far off (`lead_time_regression`). So open tabs hardly matter, and
the costs add up to a geometric mean, as the other times of the report do. Annotations whose
suggestions were withheld count as well: all of their points were drawn.

A cost that the lead times do not tell closely stays at its default, with the reason.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.agreement.clustered import NO_DATA, NO_SPREAD, Estimate, too_few
from backend.agreement.columns import CODES, Floats, Integers, VerdictColumns
from backend.agreement.lead_time_regression import Regression, independent, regress
from backend.agreement.linearised import spread
from backend.agreement.parameters import AgreementParameters
from backend.agreement.tallies import count_verdicts
from backend.verdicts.judging import ADDED, DELETED, MOVED, MOVED_AND_RELABELLED, RELABELLED

METHOD = "robust regression of log lead time, t by images"
ACTIONS = ("look", "move", "delete", "name", "add")
FEWEST_OF_ANNOTATOR = 5  # annotations of an annotator with a time of their own
UNDER_LABEL = "lead times are those of all labels"
NEVER = "it does not occur"
NOT_APART = "it occurs equally often beside the other actions"
NOTHING_LEFT = "lead times leave nothing for it"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that an action takes.

    Attributes:
        source: "measured" or "default".
        measured: with its interval, also where the default is used because it is too wide.
        reason: why the default is used.
    """

    seconds: float
    source: str
    measured: Estimate
    reason: str | None


@dataclass(frozen=True, slots=True)
class Costs:
    """What each action costs.

    Attributes:
        look: to look at a suggestion, whatever follows.
        move, delete: to do so to a point.
        name: to choose another label for a point.
        add: to draw a point, with the choice of its label.
        annotations, images: whose lead times were used.
    """

    look: Cost
    move: Cost
    delete: Cost
    name: Cost
    add: Cost
    annotations: int
    images: int


@dataclass(frozen=True)
class TimedWork:
    """Annotations with a lead time.

    Attributes:
        counts: (annotations, 5): how often each of `ACTIONS` was done.
        seconds, annotator, image: (annotations,).
    """

    counts: Floats
    seconds: Floats
    annotator: Integers
    image: Integers

    def some(self, most: int, seed: int) -> "TimedWork":
        """Return at most so many annotations, drawn at random."""
        if len(self.seconds) <= most:
            return self
        kept = np.sort(np.random.default_rng(seed).choice(len(self.seconds), most, replace=False))
        return TimedWork(
            self.counts[kept], self.seconds[kept], self.annotator[kept], self.image[kept]
        )


def measure_costs(
    shown: VerdictColumns, withheld: VerdictColumns, parameters: AgreementParameters
) -> Costs:
    """Estimate what each action costs, from first submissions with and without suggestions."""
    work = timed_work(shown, withheld, parameters)
    images = len(np.unique(work.image))
    few = _too_few(len(work.seconds), images, parameters)
    if few:
        return default_costs(few, parameters, len(work.seconds), images)
    found = fit_costs(work.some(parameters.most_timed, parameters.seed), parameters)
    return _costs(found, parameters, len(work.seconds), images)


def default_costs(
    reason: str, parameters: AgreementParameters, annotations: int = 0, images: int = 0
) -> Costs:
    """Return the costs of the parameters, with the reason why none was measured."""
    return _costs([_unknown(reason)] * len(ACTIONS), parameters, annotations, images)


def _costs(
    found: Sequence[Estimate], parameters: AgreementParameters, annotations: int, images: int
) -> Costs:
    costs = {
        name: _cost(each, getattr(parameters, f"{name}_seconds"), parameters)
        for name, each in zip(ACTIONS, found, strict=True)
    }
    return Costs(**costs, annotations=annotations, images=images)


def timed_work(
    shown: VerdictColumns, withheld: VerdictColumns, parameters: AgreementParameters
) -> TimedWork:
    """Count the actions of each annotation whose lead time is work."""
    parts: list[tuple[float, ...]] = []
    images: dict[object, int] = {}
    people: dict[int | None, int] = {}
    for columns, saw in ((shown, True), (withheld, False)):
        counts = action_counts(columns, saw_suggestions=saw)
        for place, each in enumerate(columns.annotations):
            seconds = each.lead_time or 0.0
            if each.is_first and 0 < seconds <= parameters.longest_seconds:
                image = images.setdefault((each.task, each.image_url), len(images))
                person = people.setdefault(each.annotator, len(people))
                parts.append((*counts[place], seconds, person, image))
    table = np.array(parts, np.float64).reshape(-1, len(ACTIONS) + 3)
    return TimedWork(
        counts=table[:, : len(ACTIONS)],
        seconds=table[:, -3],
        annotator=table[:, -2].astype(np.int64),
        image=table[:, -1].astype(np.int64),
    )


def action_counts(columns: VerdictColumns, *, saw_suggestions: bool) -> Floats:
    """Count how often each of `ACTIONS` was done in each annotation.

    Returns:
        (annotations, 5); of annotators who saw no suggestions, every final point was added.
    """
    annotations = len(columns.annotations)
    verdicts = count_verdicts(columns, columns.annotation, annotations).astype(np.float64)
    counts = np.zeros((annotations, len(ACTIONS)))
    deleted, added = verdicts[:, CODES[DELETED]], verdicts[:, CODES[ADDED]]
    if not saw_suggestions:
        counts[:, 4] = verdicts.sum(axis=1) - deleted
        return counts
    both = verdicts[:, CODES[MOVED_AND_RELABELLED]]
    counts[:, 0] = verdicts.sum(axis=1) - added
    counts[:, 1] = verdicts[:, CODES[MOVED]] + both
    counts[:, 2] = deleted
    counts[:, 3] = verdicts[:, CODES[RELABELLED]] + both
    counts[:, 4] = added
    return counts


def fit_costs(work: TimedWork, parameters: AgreementParameters) -> list[Estimate]:
    """Estimate the cost of each of `ACTIONS`, with its interval or the reason why it has none."""
    design = np.column_stack([work.counts, _own_times(work.annotator)])
    fitted, determined = independent(design)
    found = regress(design[:, fitted], work.seconds, work.image)
    column = np.cumsum(fitted) - 1
    return [
        _of_action(work, place, found, int(column[place]), parameters)
        if determined[place]
        else _unknown(NOT_APART if work.counts[:, place].any() else NEVER)
        for place in range(len(ACTIONS))
    ]


def _of_action(
    work: TimedWork, place: int, found: Regression, column: int, parameters: AgreementParameters
) -> Estimate:
    occurred = work.counts[:, place]
    plain = Estimate(
        float(found.values[column]),
        None,
        None,
        round(float(occurred.sum())),
        len(np.unique(work.image[occurred > 0])),
        METHOD,
    )
    return _with_interval(plain, found, column, parameters)


def _own_times(annotator: Integers) -> Floats:
    """Return a column for each annotator, and one for all with few annotations together."""
    _, person, count = np.unique(annotator, return_inverse=True, return_counts=True)
    known = np.flatnonzero(count >= FEWEST_OF_ANNOTATOR)
    columns = [person == each for each in known]
    others = ~np.isin(person, known)
    if others.any():
        columns.append(others)
    return np.column_stack(columns).astype(np.float64)


def _with_interval(
    plain: Estimate, found: Regression, column: int, parameters: AgreementParameters
) -> Estimate:
    """Add an interval that ends at 0 at the lowest."""
    few = too_few(plain.images, parameters.fewest_images)
    if few:
        return replace(plain, reason=few)
    variance, df = spread(found.influences[:, column])
    if variance == 0:
        return replace(plain, reason=NO_SPREAD)
    value, middle = float(found.values[column]), float(found.unbounded[column])
    half = parameters.limits.t(df) * math.sqrt(variance)
    if middle + half <= 0:
        return replace(plain, reason=NOTHING_LEFT)
    return replace(plain, low=min(value, max(0.0, middle - half)), high=max(value, middle + half))


def _cost(measured: Estimate, default: float, parameters: AgreementParameters) -> Cost:
    """Take what was measured where its interval is narrow enough, else the default.

    A cost near 0 is known well enough where its interval is narrow beside the default.
    """
    reason = measured.reason
    if measured.value is not None and measured.low is not None and measured.high is not None:
        size = max(measured.value, default)
        if measured.high - measured.low <= 2 * parameters.widest_cost * size:
            return Cost(measured.value, "measured", measured, None)
        reason = f"lead times tell it no closer than {measured.low:.1f} to {measured.high:.1f} s"
    return Cost(default, "default", measured, reason)


def _too_few(annotations: int, images: int, parameters: AgreementParameters) -> str | None:
    if annotations < parameters.fewest_timed:
        return f"{annotations} of at least {parameters.fewest_timed} timed annotations"
    return too_few(images, parameters.fewest_images)


def _unknown(reason: str) -> Estimate:
    return Estimate(None, None, None, 0, 0, METHOD, reason=reason or NO_DATA)
