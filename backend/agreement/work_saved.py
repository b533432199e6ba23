"""How much work suggestions save annotators, or cost them.

An action is one thing that an annotator does: move or delete a point, or choose its label. What
annotators who saw the suggestions did is compared with drawing the same final points from nothing.
Seconds are estimates from what each action costs (`costs`); where suggestions were withheld, the
seconds saved are measured as well.

A suggestion belongs to its suggested label, whatever became of it, and an added point to its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backend.agreement.as_json import fields_as_json, to_json
from backend.agreement.cells import ImageCells
from backend.agreement.clustered import (
    LOG_T,
    NO_DATA,
    NO_SPREAD,
    Estimate,
    ends,
    ratio,
    share,
    too_few,
)
from backend.agreement.columns import CODES, Flags, Floats, Integers, VerdictColumns
from backend.agreement.costs import Costs
from backend.agreement.group_figures import NamedGroup
from backend.agreement.images_learnt import images_learnt
from backend.agreement.linearised import Linearised, influences, spread
from backend.agreement.measured_seconds import say_measured
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
class WorkFigures:
    """Actions and estimated seconds with suggestions and from nothing.

    Attributes:
        share_of_actions_saved: 1 - with / from nothing; negative where suggestions make work.
        actions: number of actions an image.
        estimated_seconds: seconds an image, by the costs of the actions.
        break_even: share of suggestions that must be kept for suggesting to pay; None where even
            all would not do.
        reached: share of suggestions that were kept with their label, untouched or moved.
    """

    share_of_actions_saved: Estimate
    actions: Comparison
    estimated_seconds: Comparison
    break_even: float | None
    reached: Estimate


@dataclass(frozen=True, slots=True)
class WorkSaved:
    """The work that suggestions save, or cost.

    Attributes:
        summary: what the figures say, in words.
        figures: of all labels together.
        measured_seconds: geometric mean lead time where suggestions were withheld less where they
            were shown, within project and model version.
        by_label: the same figures of the largest labels among those that were suggested.
        labels_left_out: number of suggested labels that are not listed.
        by_images_learnt: the same figures by the number of corrected images that the suggestions
            were made with.
    """

    summary: str
    figures: WorkFigures
    measured_seconds: Estimate
    by_label: Sequence[NamedGroup[WorkFigures]]
    labels_left_out: int
    by_images_learnt: Sequence[NamedGroup[WorkFigures]]

    def as_json(self) -> dict[str, Any]:
        """Return the figures of all labels beside the rest."""
        return {
            "summary": self.summary,
            **fields_as_json(self.figures),
            "measured_seconds": to_json(self.measured_seconds),
            "by_label": to_json(self.by_label),
            "labels_left_out": self.labels_left_out,
            "by_images_learnt": to_json(self.by_images_learnt),
        }


@dataclass(frozen=True)
class _Sums:
    """Sums over the verdicts of each group and image, (cells,) each.

    Attributes:
        annotations: those with a verdict of the group on the image.
        actions, seconds: done with suggestions.
        drawn: final points.
        suggested, kept: suggestions, and those kept with their label.
        gained: seconds saved by suggestions that were kept.
        lost: seconds lost by the others.
    """

    annotations: Floats
    actions: Floats
    seconds: Floats
    drawn: Floats
    suggested: Floats
    kept: Floats
    gained: Floats
    lost: Floats

    def of(self, cells: slice) -> "_Sums":
        """Return the sums of some cells."""
        return _Sums(*(getattr(self, name)[cells] for name in self.__dataclass_fields__))


def work_saved(
    columns: VerdictColumns, costs: Costs, withheld_less: Estimate, parameters: AgreementParameters
) -> WorkSaved:
    """Compare the work on annotations whose annotators saw the suggestions with none shown.

    Args:
        withheld_less: geometric mean lead time, shown less withheld (see `anchoring`).
    """
    columns = columns.first_submissions
    rows = np.flatnonzero(columns.suggested | (columns.final & (columns.verdict == CODES[ADDED])))
    code = columns.verdict[rows]
    label = np.where(code == CODES[ADDED], columns.final_label[rows], columns.suggested_label[rows])
    labels = len(columns.labels)
    # One more group, of all labels together, comes last.
    overall = _sums(columns, rows, np.zeros(len(rows), np.int64), 1, costs)[0]
    by_label = _sums(columns, rows, label.astype(np.int64), labels, costs)
    steps, step = images_learnt(columns.annotations)
    by_step = _sums(columns, rows, step[columns.annotation[rows]], len(steps), costs)

    def named(name: str, group: int, found: tuple[_Sums, ImageCells]) -> NamedGroup[WorkFigures]:
        sums, cells = found
        return NamedGroup(name, _figures(sums.of(cells.of_group(group)), costs, parameters))

    sizes = np.bincount(label[code != CODES[ADDED]], minlength=labels)
    largest = np.argsort(-sizes, kind="stable")[: parameters.most_groups].tolist()
    listed = [each for each in largest if sizes[each]]
    figures = _figures(overall, costs, parameters)
    measured = _negative(withheld_less)
    return WorkSaved(
        summary=summarise(figures, measured, costs),
        figures=figures,
        measured_seconds=measured,
        by_label=[named(columns.labels[each], each, by_label) for each in listed],
        labels_left_out=int(np.count_nonzero(sizes)) - len(listed),
        by_images_learnt=[named(name, group, by_step) for group, name in enumerate(steps)],
    )


def verdict_seconds(costs: Costs) -> dict[str, float]:
    """Return the estimated seconds that each verdict takes."""
    look, move, name = costs.look.seconds, costs.move.seconds, costs.name.seconds
    return {
        ACCEPTED: look,
        MOVED: look + move,
        DELETED: look + costs.delete.seconds,
        RELABELLED: look + name,
        MOVED_AND_RELABELLED: look + move + name,
        ADDED: costs.add.seconds,
    }


def _sums(
    columns: VerdictColumns, rows: Integers, group: Integers, groups: int, costs: Costs
) -> tuple[_Sums, ImageCells]:
    code, annotation = columns.verdict[rows], columns.annotation[rows]
    image = columns.image[annotation]
    cells = ImageCells.of(group, image, groups)
    cell = cells.find(group, image)
    seconds = _by_code(verdict_seconds(costs))
    saved = np.where(_is(DELETED), 0.0, costs.add.seconds) - seconds
    kept = _is(ACCEPTED, MOVED)
    wrong = ~kept & ~_is(ADDED)

    def total(value: Floats | Flags) -> Floats:
        return cells.sums(cell, value[code].astype(np.float64))

    # Every annotation once for each of its groups.
    once = np.unique(annotation.astype(np.int64) * groups + group)
    return (
        _Sums(
            annotations=cells.sums(cells.find(once % groups, columns.image[once // groups]), None),
            actions=total(_by_code(ACTIONS)),
            seconds=total(seconds),
            drawn=total(~_is(DELETED)),
            suggested=total(~_is(ADDED)),
            kept=total(kept),
            gained=total(np.where(kept, saved, 0.0)),
            lost=total(np.where(wrong, -saved, 0.0)),
        ),
        cells,
    )


def _figures(sums: _Sums, costs: Costs, parameters: AgreementParameters) -> WorkFigures:
    limits = parameters.limits

    def compare(done: Floats, drawn: Floats) -> Comparison:
        each = (done, drawn, drawn - done)
        found = [ratio(one, sums.annotations, scale="any", limits=limits) for one in each]
        return Comparison(*found)

    from_nothing = ACTIONS[ADDED] * sums.drawn
    return WorkFigures(
        share_of_actions_saved=_share_saved(sums.actions, from_nothing, parameters),
        actions=compare(sums.actions, from_nothing),
        estimated_seconds=compare(sums.seconds, costs.add.seconds * sums.drawn),
        break_even=_break_even(sums, costs),
        reached=share(sums.kept, sums.suggested, limits),
    )


def _break_even(sums: _Sums, costs: Costs) -> float | None:
    """Return the share of kept suggestions from which on suggesting pays, or None for never.

    At that share p the seconds that kept suggestions gain make up for those that the others lose:
    p·gain = (1 - p)·loss, with the mean gain and loss of this team. Where no suggestion was kept,
    or all were, the missing one is that of a suggestion that is accepted, or deleted, as it is.
    Where a kept suggestion takes longer than drawing its point, no share pays.
    """
    kept, others = float(sums.kept.sum()), float((sums.suggested - sums.kept).sum())
    gain = costs.add.seconds - costs.look.seconds
    loss = costs.look.seconds + costs.delete.seconds
    if kept:
        gain = float(sums.gained.sum()) / kept
    if others:
        loss = float(sums.lost.sum()) / others
    if gain <= 0:
        return None
    if loss <= 0:  # even suggestions that are wrong save time: their points need not be drawn
        return 0.0
    return loss / (gain + loss)


def summarise(figures: WorkFigures, measured: Estimate, costs: Costs) -> str:
    """Say in a sentence or two what suggestions save or cost."""
    actions, seconds = figures.actions.saved, figures.estimated_seconds.saved
    if actions.value is None or seconds.value is None:
        return "No annotation that started from suggestions tells what they save."
    first, second = ("save" if each >= 0 else "cost" for each in (actions.value, seconds.value))
    link = "and" if first == second else f"but {second}"
    sentence = (
        f"Suggestions {first} your team {abs(actions.value):.1f} actions an image"
        f" {link} an estimated {abs(seconds.value):.1f} s."
    )
    if actions.low is None or actions.high is None:
        sentence += f" There is no interval yet: {actions.reason}."
    elif actions.low <= 0 <= actions.high:
        sentence += " The interval of the actions includes 0, so this may be chance."
    return f"{sentence} {say_measured(measured)}"


def _negative(figure: Estimate) -> Estimate:
    low, high = (None if end is None else -end for end in (figure.high, figure.low))
    return replace(
        figure, value=None if figure.value is None else -figure.value, low=low, high=high
    )


def _is(*verdicts: str) -> Flags:
    """Return for each code whether it is one of these verdicts."""
    return np.isin(np.arange(len(CODES)), [CODES[each] for each in verdicts])


def _by_code(values: dict[str, int] | dict[str, float]) -> Floats:
    """Return values by the code of their verdict."""
    found = np.zeros(len(CODES))
    for name, value in values.items():
        found[CODES[name]] = value
    return found


def _share_saved(done: Floats, drawn: Floats, parameters: AgreementParameters) -> Estimate:
    """Estimate 1 - done / drawn, by t on the log scale of done / drawn: it is at most 1.

    `clustered.ratio` leaves out images without a final point. Here they count: their suggestions
    had to be deleted.
    """
    worked = (done > 0) | (drawn > 0)
    top, bottom = (drawn - done)[worked], drawn[worked]
    images, total = len(top), float(bottom.sum())
    if total == 0:
        reason = NOTHING_DRAWN if images else NO_DATA
        return Estimate(None, None, None, 0, images, LOG_T, reason=reason)
    value = float(top.sum()) / total
    plain = Estimate(value, None, None, round(total), images, LOG_T)
    limits = parameters.limits
    few = too_few(int(np.count_nonzero(bottom)), limits.fewest_images)
    if few:
        return replace(plain, reason=f"{few} with a final point")
    variance, df = spread(influences(top, bottom))
    if variance == 0:
        return replace(plain, reason=NO_SPREAD)
    low, high = ends(Linearised(1 - value, variance, df, total, images), "positive", limits)
    return replace(plain, low=1 - high, high=1 - low)
