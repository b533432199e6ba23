"""Every two annotators on the withheld tasks that both annotated, and the detector with each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.agreement.clustered import Estimate, ratio
from backend.agreement.columns import Floats, Integers
from backend.agreement.label_agreement import AlphaByLabel, alpha_by_label, kappa
from backend.agreement.meetings import DETECTOR, Meeting, Meetings, joined
from backend.agreement.parameters import AgreementParameters


@dataclass(frozen=True, slots=True)
class Pair:
    """Two annotators, or the detector and an annotator.

    Attributes:
        first, second: names; `first` may be "detector".
        tasks: withheld tasks with both.
        f1: of their points, paired one to one; mean over tasks.
        distance_px: mean distance of paired points.
        normalised_error: that distance over the longer side of the object, else of the image.
        label_kappa: Cohen's κ of the labels of paired points.
    """

    first: str
    second: str
    tasks: int
    f1: Estimate
    distance_px: Estimate
    normalised_error: Estimate
    label_kappa: Estimate


@dataclass(frozen=True, slots=True)
class Pairs:
    """The matrix of pairs, a triangle of it: F1, distance and κ are the same both ways.

    Attributes:
        parties: those compared: the detector, then annotators by the tasks that they share.
        left_out: annotators who share tasks but are not compared.
        labels: agreement of all annotators in each label; that in all labels is in `People`.
    """

    parties: Sequence[str]
    left_out: int
    pairs: Sequence[Pair]
    labels: AlphaByLabel


def pairs(met: Meetings, parameters: AgreementParameters) -> Pairs:
    """Compare every two parties on the tasks where they met."""
    among = [each for each in met.among if each.names[0] != each.names[1]]
    shared: dict[str, int] = {}
    for each in among:
        for name in each.names:
            shared[name] = shared.get(name, 0) + 1
    order = sorted(shared, key=lambda name: (-shared[name], name))
    parties = [DETECTOR, *order[: parameters.most_annotators_paired]]
    rank = {name: place for place, name in enumerate(parties if order else [])}
    of_pair: dict[tuple[int, int], list[Meeting]] = {}
    for each in [*met.with_detector, *among]:
        if all(name in rank for name in each.names):
            ordered = _in_order(each, rank)
            one, other = (rank[name] for name in ordered.names)
            of_pair.setdefault((one, other), []).append(ordered)
    return Pairs(
        parties=list(rank),
        left_out=max(0, len(order) - parameters.most_annotators_paired),
        pairs=[_pair(of_pair[key], parameters) for key in sorted(of_pair)],
        labels=alpha_by_label(met.among, parameters),
    )


def _in_order(meeting: Meeting, rank: dict[str, int]) -> Meeting:
    """Return a meeting with the party of the lower rank first."""
    first, second = meeting.names
    if rank[first] < rank[second]:
        return meeting
    return replace(
        meeting,
        names=(second, first),
        first=meeting.second,
        second=meeting.first,
        pairs=meeting.pairs[:, ::-1],
    )


def _pair(met: Sequence[Meeting], parameters: AgreementParameters) -> Pair:
    limits = parameters.limits
    image = np.array([each.image for each in met], np.int64)
    of_points = np.repeat(image, [len(each.pairs) for each in met])
    distance = joined([each.distances for each in met])
    length = joined([each.lengths for each in met])

    def mean(values: Floats, of: Integers) -> tuple[Floats, Floats]:
        return np.bincount(of, values).astype(np.float64), np.bincount(of).astype(np.float64)

    f1 = np.array([each.f1 for each in met])
    return Pair(
        *met[0].names,
        tasks=len(met),
        f1=ratio(*mean(f1, image), scale="share", limits=limits),
        distance_px=ratio(*mean(distance, of_points), scale="positive", limits=limits),
        normalised_error=ratio(
            *mean(distance / length, of_points), scale="positive", limits=limits
        ),
        label_kappa=kappa(met, parameters),
    )
