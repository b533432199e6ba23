"""What the actions of annotators cost this team, from their lead times.

The lead time of an annotation is taken for the sum of its parts: a time of its annotator's own for
each annotation, and a cost for each look at a suggestion, move, deletion, choice of a label and
drawn point. The costs are those that fit the logarithms of the lead times best, none below 0. So an
open tab weighs no more than a hasty annotation, and the costs add up to a geometric mean, as the
other times of the report do. Annotations whose suggestions were withheld count as well: all of
their points were drawn.

A cost that the lead times do not tell closely stays at its default, with the reason.

Sources: Gauss-Newton steps, each a non-negative least squares problem (Lawson and Hanson, Solving
Least Squares Problems, 1974, chapter 23); variance by leaving out each image (Bell and McCaffrey,
Survey Methodology 28, 2002, the jackknife for clusters of a regression).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.agreement.clustered import LARGEST_EXPONENT, NO_DATA, Estimate, too_few
from backend.agreement.columns import CODES, Floats, Integers, VerdictColumns
from backend.agreement.linearised import spread
from backend.agreement.parameters import AgreementParameters
from backend.agreement.tallies import count_verdicts
from backend.verdicts.judging import ADDED, DELETED, MOVED, MOVED_AND_RELABELLED, RELABELLED

METHOD = "least squares of log lead time, images left out in turn, t on the log scale"
ACTIONS = ("look", "move", "delete", "name", "add")
FEWEST_OF_ANNOTATOR = 5  # annotations of an annotator with a time of their own
SHORTEST = 0.05  # s; no annotation is expected to take less
STEPS = 60
ENOUGH = 1e-9  # relative decrease of the squares that ends the fit
# A count that the others explain but for this share of its squares says nothing of its own.
EXPLAINED = 1e-6
UNDER_LABEL = "lead times are those of all labels"
MOST_LEFT_OUT = 400  # groups of images left out in turn; more would only take longer


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
    own = _own_times(work.annotator)
    reasons = _not_told(work.counts, own)
    told = [place for place, reason in enumerate(reasons) if reason is None]
    design = np.column_stack([work.counts[:, told], own])
    values = least_squares_of_logs(design, work.seconds)
    moves = _moves_by_image(design, work, values)
    found = [_unknown(reason or "") for reason in reasons]
    for column, place in enumerate(told):
        occurs = work.counts[:, place] > 0
        plain = Estimate(
            float(values[column]),
            None,
            None,
            round(float(work.counts[:, place].sum())),
            len(np.unique(work.image[occurs])),
            METHOD,
        )
        found[place] = _with_interval(plain, moves[:, column], parameters)
    return found


def least_squares_of_logs(design: Floats, seconds: Floats) -> Floats:
    """Return the coefficients, none below 0, whose sums fit the logarithms of times best.

    Args:
        design: (annotations, coefficients), none below 0.
        seconds: (annotations,) above 0.
    """
    from scipy.optimize import nnls  # the web process starts without SciPy

    logs = np.log(seconds)
    expected = np.full(len(seconds), math.exp(logs.mean()))
    values, squares = np.zeros(design.shape[1]), math.inf
    for _ in range(STEPS):
        weighted = design / expected[:, None]
        normal = weighted.T @ weighted
        normal[np.diag_indices_from(normal)] *= 1 + ENOUGH
        upper = np.linalg.cholesky(normal).T
        goal = weighted.T @ (1 + logs - np.log(expected))
        step = nnls(upper, np.linalg.solve(upper.T, goal))[0] - values
        length, before = 1.0, squares
        while True:
            tried = values + length * step
            mean = np.maximum(design @ tried, SHORTEST)
            squares = float(((logs - np.log(mean)) ** 2).sum())
            if squares <= before or length < ENOUGH:
                break
            length /= 2
        values, expected = tried, mean
        if before - squares <= ENOUGH * squares:
            break
    return np.asarray(values, np.float64)


def _moves_by_image(design: Floats, work: TimedWork, values: Floats) -> Floats:
    """Return by how much each image, or group of images, moves each coefficient.

    Coefficients at 0 stay there.

    Returns:
        (groups, coefficients).
    """
    expected = np.maximum(design @ values, SHORTEST)
    free = values > 0
    weighted = design[:, free] / expected[:, None]
    rest = np.log(work.seconds / expected)
    _, image = np.unique(work.image, return_inverse=True)
    groups = min(int(image.max()) + 1, MOST_LEFT_OUT)
    group = image % groups
    normal = weighted.T @ weighted
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(groups + 1))
    moves = np.zeros((groups, len(values)))
    for place in range(groups):
        rows = order[ends[place] : ends[place + 1]]
        left = normal - weighted[rows].T @ weighted[rows]
        pull = weighted[rows].T @ rest[rows]
        moves[place, free] = np.linalg.lstsq(left, pull, rcond=None)[0]
    return moves


def _own_times(annotator: Integers) -> Floats:
    """Return a column for each annotator, and one for all with few annotations together."""
    _, person, count = np.unique(annotator, return_inverse=True, return_counts=True)
    known = np.flatnonzero(count >= FEWEST_OF_ANNOTATOR)
    columns = [person == each for each in known]
    others = ~np.isin(person, known)
    if others.any():
        columns.append(others)
    return np.column_stack(columns).astype(np.float64)


def _not_told(counts: Floats, own: Floats) -> list[str | None]:
    """Return why the lead times say nothing of each action; None where they do.

    Of actions that explain one another, the first ones of `ACTIONS` are not told.
    """
    reasons: list[str | None] = [
        None if counts[:, place].any() else "it does not occur" for place in range(counts.shape[1])
    ]
    for place in range(counts.shape[1]):
        if reasons[place] is None:
            others = [at for at in range(counts.shape[1]) if at != place and reasons[at] is None]
            beside = np.column_stack([counts[:, others], own])
            goal = counts[:, place]
            rest = goal - beside @ np.linalg.lstsq(beside, goal, rcond=None)[0]
            if (rest**2).sum() <= EXPLAINED * (goal**2).sum():
                reasons[place] = "it occurs equally often beside the other actions"
    return reasons


def _with_interval(plain: Estimate, moves: Floats, parameters: AgreementParameters) -> Estimate:
    value = plain.value or 0.0
    if value <= 0:
        return replace(plain, reason="lead times leave nothing for it")
    few = too_few(plain.images, parameters.fewest_images)
    if few:
        return replace(plain, reason=few)
    variance, df = spread(moves)
    half = parameters.limits.t(df) * math.sqrt(variance)
    factor = math.exp(min(half / value, LARGEST_EXPONENT))
    return replace(plain, low=value / factor, high=value * factor)


def _cost(measured: Estimate, default: float, parameters: AgreementParameters) -> Cost:
    """Take what was measured where its interval is narrow enough, else the default."""
    reason = measured.reason
    if measured.value is not None and measured.low is not None and measured.high is not None:
        if measured.high - measured.low <= 2 * parameters.widest_cost * measured.value:
            return Cost(measured.value, "measured", measured, None)
        reason = f"lead times tell it no closer than {measured.low:.1f} to {measured.high:.1f} s"
    return Cost(default, "default", measured, reason)


def _too_few(annotations: int, images: int, parameters: AgreementParameters) -> str | None:
    if annotations < parameters.fewest_timed:
        return f"{annotations} of at least {parameters.fewest_timed} timed annotations"
    return too_few(images, parameters.fewest_images)


def _unknown(reason: str) -> Estimate:
    return Estimate(None, None, None, 0, 0, METHOD, reason=reason or NO_DATA)
