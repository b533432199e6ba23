"""How much work suggestions save annotators, or cost them.

An action is one thing that an annotator does: move or delete a point, or choose its label. What
annotators who saw the suggestions did is compared with drawing the same final points from nothing.
Seconds are no measurements: they are estimates from the costs among the parameters.
"""

from dataclasses import dataclass, replace

import numpy as np

from backend.agreement.clustered import (
    NO_DATA,
    NO_SPREAD,
    PLAIN_T,
    Estimate,
    ends,
    ratio,
    share,
    too_few,
)
from backend.agreement.columns import CODES, Flags, Floats, VerdictColumns
from backend.agreement.linearised import Linearised, influences, spread
from backend.agreement.parameters import AgreementParameters
from backend.verdicts.judging import (
    ACCEPTED,
    ADDED,
    DELETED,
    MOVED,
    MOVED_AND_RELABELLED,
    RELABELLED,
)

ACTIONS = {
    ACCEPTED: 0,
    MOVED: 1,
    DELETED: 1,
    RELABELLED: 1,
    MOVED_AND_RELABELLED: 2,
    ADDED: 2,  # choose the label, click
}
NOTHING_DRAWN = "no image has a final point"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Work on one image by one annotator, averaged, with the image as the cluster.

    Attributes:
        with_suggestions: what annotators did.
        from_nothing: what drawing the same final points takes.
        saved: the second less the first; negative where suggestions make work.
    """

    with_suggestions: Estimate
    from_nothing: Estimate
    saved: Estimate


@dataclass(frozen=True, slots=True)
class WorkSaved:
    """Actions and estimated seconds with suggestions and from nothing.

    Attributes:
        summary: what the figures say, in words.
        share_of_actions_saved: 1 - with / from nothing; negative where suggestions make work.
        actions: number of actions an image.
        estimated_seconds: seconds an image, by the default costs.
        break_even: share of suggestions that must be right for suggesting to pay; None where even
            all would not do.
        reached: share of suggestions that were kept with their label, untouched or moved.
    """

    summary: str
    share_of_actions_saved: Estimate
    actions: Comparison
    estimated_seconds: Comparison
    break_even: float | None
    reached: Estimate


def work_saved(columns: VerdictColumns, parameters: AgreementParameters) -> WorkSaved:
    """Compare the work on annotations whose annotators saw the suggestions with none shown.

    Each verdict belongs to its final label, or if it was deleted to the suggested one, so the
    figures of a label filter add up to those of all labels.
    """
    columns = columns.first_submissions
    counted = columns.final | (columns.suggested & (columns.verdict == CODES[DELETED]))
    actions = _by_code(ACTIONS)
    seconds = _by_code(verdict_seconds(parameters))
    with_actions = _sums(columns, counted, actions[columns.verdict])
    drawn = _sums(columns, columns.final, np.ones(len(columns.verdict)))
    compared = _compare(columns, counted, with_actions, ACTIONS[ADDED] * drawn, parameters)
    estimated = _compare(
        columns,
        counted,
        _sums(columns, counted, seconds[columns.verdict]),
        parameters.add_seconds * drawn,
        parameters,
    )
    return WorkSaved(
        summary=summarise(compared.saved, estimated.saved),
        share_of_actions_saved=_share_saved(with_actions, ACTIONS[ADDED] * drawn, parameters),
        actions=compared,
        estimated_seconds=estimated,
        break_even=break_even(parameters),
        reached=_reached(columns, parameters),
    )


def verdict_seconds(parameters: AgreementParameters) -> dict[str, float]:
    """Return the estimated seconds that each verdict takes."""
    look, move, name = (
        parameters.look_seconds,
        parameters.move_seconds,
        parameters.name_seconds,
    )
    return {
        ACCEPTED: look,
        MOVED: look + move,
        DELETED: look + parameters.delete_seconds,
        RELABELLED: look + name,
        MOVED_AND_RELABELLED: look + move + name,
        ADDED: parameters.add_seconds,
    }


def break_even(parameters: AgreementParameters) -> float | None:
    """Return the share of right suggestions from which on suggesting pays, or None for never.

    Looking at a suggestion and deleting it if wrong, look + (1 - p)·delete, must take no longer
    than placing the right ones oneself, p·(add - name).
    """
    lost = parameters.delete_seconds + parameters.look_seconds
    gained = parameters.add_seconds - parameters.name_seconds + parameters.delete_seconds
    return lost / gained if gained > 0 and lost <= gained else None


def summarise(actions: Estimate, seconds: Estimate) -> str:
    """Say in a sentence what suggestions save or cost."""
    if actions.value is None or seconds.value is None:
        return "No annotation that started from suggestions tells what they save."
    first, second = ("save" if each >= 0 else "cost" for each in (actions.value, seconds.value))
    link = "and" if first == second else f"but {second}"
    sentence = (
        f"Suggestions {first} your team {abs(actions.value):.1f} actions an image"
        f" {link} an estimated {abs(seconds.value):.1f} s."
    )
    if actions.low is None or actions.high is None:
        return f"{sentence} There is no interval yet: {actions.reason}."
    if actions.low <= 0 <= actions.high:
        return f"{sentence} The interval of the actions includes 0, so this may be chance."
    return sentence


def _by_code(values: dict[str, int] | dict[str, float]) -> Floats:
    """Return values by the code of their verdict."""
    found = np.zeros(len(CODES))
    for name, value in values.items():
        found[CODES[name]] = value
    return found


def _sums(columns: VerdictColumns, rows: Flags, values: Floats) -> Floats:
    """Return the sum of the rows' values in each image."""
    image = columns.image[columns.annotation[rows]]
    return np.asarray(np.bincount(image, values[rows], columns.images), np.float64)


def _compare(
    columns: VerdictColumns,
    counted: Flags,
    done: Floats,
    drawn: Floats,
    parameters: AgreementParameters,
) -> Comparison:
    """Average both over the annotations that have a verdict."""
    annotations = np.bincount(
        columns.image[np.unique(columns.annotation[counted])], minlength=columns.images
    )

    def mean(sums: Floats) -> Estimate:
        return ratio(sums, annotations, scale="any", limits=parameters.limits)

    return Comparison(mean(done), mean(drawn), mean(drawn - done))


def _share_saved(done: Floats, drawn: Floats, parameters: AgreementParameters) -> Estimate:
    """Estimate 1 - done / drawn, on the scale "any", as it has no lower end.

    `clustered.ratio` leaves out images without a final point. Here they count: their suggestions
    had to be deleted.
    """
    worked = (done > 0) | (drawn > 0)
    top, bottom = (drawn - done)[worked], drawn[worked]
    images, total = len(top), float(bottom.sum())
    if total == 0:
        reason = NOTHING_DRAWN if images else NO_DATA
        return Estimate(None, None, None, 0, images, PLAIN_T, reason=reason)
    value = float(top.sum()) / total
    plain = Estimate(value, None, None, round(total), images, PLAIN_T)
    limits = parameters.limits
    few = too_few(int(np.count_nonzero(bottom)), limits.fewest_images)
    if few:
        return replace(plain, reason=f"{few} with a final point")
    variance, df = spread(influences(top, bottom))
    if variance == 0:
        return replace(plain, reason=NO_SPREAD)
    low, high = ends(Linearised(value, variance, df, total, images), "any", limits)
    return replace(plain, low=low, high=high)


def _reached(columns: VerdictColumns, parameters: AgreementParameters) -> Estimate:
    """Estimate the share of suggestions that were kept with their label."""
    right = np.isin(columns.verdict, (CODES[ACCEPTED], CODES[MOVED])) & columns.suggested
    one = np.ones(len(columns.verdict))
    suggested = _sums(columns, columns.suggested, one)
    return share(_sums(columns, right, one), suggested, parameters.limits)
