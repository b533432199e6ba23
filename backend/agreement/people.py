"""Annotators compared with one another, and with the detector on the same tasks.

Two annotators who both started from the same suggestions agree because of them. So only tasks whose
suggestions were withheld tell how far people agree, which is a ceiling for the detector.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from backend.agreement.clustered import Estimate, ratio
from backend.agreement.columns import Floats, Integers
from backend.agreement.parameters import AgreementParameters
from backend.agreement.points import Points, final_points, pair, suggested_points
from backend.agreement.table import VerdictTable

LabelCounts = Mapping[str, int]
SAW_SUGGESTIONS = "both saw the suggestions: no ceiling"
ONE_ANNOTATOR = "no task has several annotators"


@dataclass(frozen=True, slots=True)
class PeerAgreement:
    """Agreement of two parties.

    Attributes:
        f1: of their points, paired one to one; mean over tasks.
        distance_px: mean distance of paired points.
        normalised_error: that distance over the longer side of the object, else of the image.
        label_alpha: Krippendorff's α of the labels of paired points; None where it is not defined.
    """

    f1: Estimate
    distance_px: Estimate
    normalised_error: Estimate
    label_alpha: float | None


@dataclass(frozen=True, slots=True)
class People:
    """Agreement on withheld tasks that several people annotated.

    Attributes:
        tasks: number of these tasks.
        tasks_compared: number of tasks that were drawn for the comparison.
        tasks_shown: number of tasks whose several annotators saw the suggestions; not compared.
        reason: why there is no comparison; None if there is one.
    """

    tasks: int
    tasks_compared: int
    tasks_shown: int
    human_human: PeerAgreement
    detector_human: PeerAgreement
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Match:
    """Two sets of points of one task, paired.

    Attributes:
        task: place among the compared tasks.
        pairs: (P, 2): indices into both.
    """

    task: int
    first: Points
    second: Points
    pairs: Integers

    @property
    def f1(self) -> float:
        """F1 of the two sets; 1 where both are empty."""
        points = len(self.first.position) + len(self.second.position)
        return 2 * len(self.pairs) / points if points else 1.0

    @property
    def labels(self) -> Iterator[LabelCounts]:
        """The labels that both gave to the points of each pair."""
        for one, other in self.pairs.tolist():
            yield _counted((self.first.label[one], self.second.label[other]))


def people(table: VerdictTable, parameters: AgreementParameters) -> People:
    """Compare annotators with one another, and with the detector on the same withheld tasks.

    Points are paired again within `near`, regardless of their ids and labels.
    """
    among: list[_Match] = []
    with_detector: list[_Match] = []
    for place, task in enumerate(table.compared_tasks):
        length = task[0].longer_side
        verdicts = [table.verdicts.get(each.id, ()) for each in task]
        final = [final_points(each, length) for each in verdicts]
        suggested = [suggested_points(each, length) for each in verdicts]
        among += [_match(place, *both, parameters.near) for both in combinations(final, 2)]
        with_detector += [
            _match(place, *both, parameters.near) for both in zip(suggested, final, strict=True)
        ]
    image = _images(table)
    reason = SAW_SUGGESTIONS if table.tasks_shown_to_several else ONE_ANNOTATOR
    return People(
        tasks=table.tasks_of_several_annotators,
        tasks_compared=len(table.compared_tasks),
        tasks_shown=table.tasks_shown_to_several,
        human_human=_agreement(among, image, parameters),
        detector_human=_agreement(with_detector, image, parameters),
        reason=None if table.compared_tasks else reason,
    )


def _match(task: int, first: Points, second: Points, near: float) -> _Match:
    return _Match(task, first, second, pair(first, second, near))


def _agreement(
    matches: Sequence[_Match], image: Integers, parameters: AgreementParameters
) -> PeerAgreement:
    """Average over the pairs of sets of each task, then over tasks; distances over pairs."""
    tasks = np.array([each.task for each in matches], np.int64)
    compared = np.bincount(tasks, minlength=len(image))
    f1 = np.bincount(tasks, [each.f1 for each in matches], minlength=len(image))
    pairs = np.repeat(image[tasks], [len(each.pairs) for each in matches])
    distance = _joined([_distances(each) for each in matches])
    length = _joined([_lengths(each) for each in matches])
    limits, ones = parameters.limits, np.bincount(image)

    def mean(values: Floats) -> Estimate:
        sums = np.bincount(pairs, values)
        return ratio(sums, np.bincount(pairs), scale="positive", limits=limits)

    return PeerAgreement(
        f1=ratio(
            np.bincount(image, f1 / np.maximum(compared, 1)), ones, scale="share", limits=limits
        ),
        distance_px=mean(distance),
        normalised_error=mean(distance / length),
        label_alpha=nominal_alpha([unit for each in matches for unit in each.labels]),
    )


def _joined(parts: Sequence[Floats]) -> Floats:
    return np.concatenate([np.empty(0), *parts])


def _distances(match: _Match) -> Floats:
    one, other = match.pairs.T
    apart = match.first.position[one] - match.second.position[other]
    return np.asarray(np.hypot(apart[:, 0], apart[:, 1]))


def _lengths(match: _Match) -> Floats:
    one, other = match.pairs.T
    return np.asarray(np.minimum(match.first.length[one], match.second.length[other]))


def _images(table: VerdictTable) -> Integers:
    """Return the image of each compared task, as the withheld annotations number them."""
    withheld = table.withheld
    image = {
        each.id: int(number)
        for each, number in zip(withheld.annotations, withheld.image, strict=True)
    }
    return np.array([image[task[0].id] for task in table.compared_tasks], np.int64)


def _counted(labels: Iterable[str | None]) -> LabelCounts:
    counts: dict[str, int] = {}
    for label in labels:
        if label is not None:
            counts[label] = counts.get(label, 0) + 1
    return counts


def nominal_alpha(units: Sequence[LabelCounts]) -> float | None:
    """Compute Krippendorff's α of nominal labels.

    Args:
        units: for each thing that was labelled, how many gave it each label.

    Returns:
        None where fewer than two labels occur, or nothing was labelled twice.

    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.

    >>> nominal_alpha([{"beak": 2}, {"tail": 2}])
    1.0
    """
    import krippendorff

    labelled_twice = [unit for unit in units if sum(unit.values()) > 1]
    labels = sorted({label for unit in labelled_twice for label in unit})
    if len(labels) < 2:
        return None
    counts = np.array([[unit.get(label, 0) for label in labels] for unit in labelled_twice])
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))
