"""Whether annotators, or labels, differ in the share of suggestions that is accepted.

Five equal annotators often have two intervals that do not touch. So one test for all comes first,
and pairs are compared only where it finds a difference, with p-values that hold for all pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.agreement.cells import ImageCells
from backend.agreement.columns import CODES, Integers, ShortIntegers, VerdictColumns
from backend.agreement.comparisons import GroupTest, compare_pairs, compare_shares
from backend.agreement.linearised import linearise
from backend.agreement.parameters import AgreementParameters
from backend.verdicts.judging import ACCEPTED


@dataclass(frozen=True, slots=True)
class DifferentPair:
    """Two groups whose shares differ; `p` is Holm's, valid for all pairs together."""

    first: str
    second: str
    p: float


@dataclass(frozen=True, slots=True)
class GroupDifferences:
    """Whether groups differ at all, and which pairs do.

    Attributes:
        left_out: number of groups that are not compared because there are larger ones enough.
        too_few_images: groups that are not compared because they have too few images.
        pairs: those that differ, the clearest first; empty where the test finds no difference.
    """

    test: GroupTest
    left_out: int
    too_few_images: Sequence[str]
    pairs: Sequence[DifferentPair]


@dataclass(frozen=True, slots=True)
class GroupTests:
    """Differences in acceptance between annotators, and between suggested labels."""

    annotator: GroupDifferences
    label: GroupDifferences


def group_tests(columns: VerdictColumns, parameters: AgreementParameters) -> GroupTests:
    """Compare the shares of suggestions left untouched."""
    columns = columns.first_submissions
    known = ["" if each.annotator is None else str(each.annotator) for each in columns.annotations]
    names, number = np.unique(np.array(known, str), return_inverse=True)
    rows = columns.suggested & (np.array(known, str) != "")[columns.annotation]
    return GroupTests(
        annotator=_differences(
            columns, np.flatnonzero(rows), number[columns.annotation], names.tolist(), parameters
        ),
        label=_differences(
            columns,
            np.flatnonzero(columns.suggested),
            columns.suggested_label,
            columns.labels,
            parameters,
        ),
    )


def _differences(
    columns: VerdictColumns,
    rows: Integers,
    group: Integers | ShortIntegers,
    names: Sequence[str],
    parameters: AgreementParameters,
) -> GroupDifferences:
    """Compare the largest groups.

    Args:
        rows: places of the judgements to compare.
        group: place in `names` of each verdict.
    """
    image, of = columns.image[columns.annotation[rows]], group[rows].astype(np.int64)
    cells = ImageCells.of(of, image, len(names))
    cell = cells.find(of, image)
    accepted = cells.sums(cell, (columns.verdict[rows] == CODES[ACCEPTED]).astype(np.float64))
    judged = cells.sums(cell, None)
    sizes = np.bincount(of, minlength=len(names))
    largest = np.argsort(-sizes, kind="stable")[: parameters.most_groups].tolist()
    compared = []
    for place in largest:
        found = linearise(accepted[cells.of_group(place)], judged[cells.of_group(place)])
        if found is not None:
            compared.append((names[place], found))
    shares, limits = [found for _, found in compared], parameters.limits
    test = compare_shares(shares, limits)
    differ = test.p is not None and test.p < 1 - parameters.level
    pairs = [
        DifferentPair(compared[each.first][0], compared[each.second][0], each.p)
        for each in (compare_pairs(shares, limits) if differ else [])
        if each.p < 1 - parameters.level
    ]
    left_out = int(np.count_nonzero(sizes)) - len(compared)
    too_few = [name for name, found in compared if found.images < limits.fewest_images]
    return GroupDifferences(test, left_out, too_few, sorted(pairs, key=lambda each: each.p))
