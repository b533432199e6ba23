"""Sums over the images of several groups of verdicts, and the figures that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.agreement.cells import ImageCells
from backend.agreement.clustered import WILSON, Estimate, Scale, quantile, ratio, share
from backend.agreement.columns import CODES, Floats, Integers
from backend.agreement.group_figures import (
    Acceptance,
    ByLongerSide,
    Displacement,
    PckAt,
    PointCounts,
    PointFigures,
)
from backend.agreement.parameters import AgreementParameters
from backend.agreement.tallies import (
    Tallies,
)
from backend.verdicts.judging import ADDED, VERDICTS

NEVER_SUGGESTED = "never suggested"


@dataclass(frozen=True)
class Moves:
    """How far points were moved.

    Attributes:
        distance: px, of each point that was moved.
        cell: of each, ascending.
    """

    distance: Floats
    cell: Integers

    @classmethod
    def of(cls, distance: Floats, cell: Integers) -> "Moves":
        """Sort moves by their cell."""
        order = np.argsort(cell, kind="stable")
        return cls(distance[order], cell[order])

    def within(self, cells: slice) -> tuple[Floats, Integers]:
        """Return the distances in some cells, and the place of each one's cell among them."""
        first, last = np.searchsorted(self.cell, (cells.start, cells.stop)).tolist()
        return self.distance[first:last], self.cell[first:last] - cells.start


@dataclass(frozen=True)
class GroupSums:
    """The sums from which the figures of several groups of verdicts are computed.

    Attributes:
        cells: the images of each group.
        sums: (cells,) each.
        verdicts: (groups, kinds of verdict).
        suggestions: (groups,).
        moves: of every point that was moved.
    """

    parameters: AgreementParameters
    cells: ImageCells
    sums: Tallies[Floats]
    verdicts: Integers
    suggestions: Integers
    moves: Moves

    def agreement(self, group: int) -> PointFigures:
        """Compute every figure of one group."""
        cells = self.cells.of_group(group)
        sums = self.sums.map(lambda each: each[cells])
        return PointFigures(
            points=self._counts(group),
            images=cells.stop - cells.start,
            acceptance=Acceptance(
                untouched=self._share(sums.accepted, sums.judged),
                within_share=self._share(sums.near_by_share, sums.judged),
                within_px=self._share(sums.near_by_px, sums.judged),
            ),
            **self._matched(sums),
            found_at_place=self._share(sums.found, sums.final),
            pck=ByLongerSide(
                image=self._pck(sums.image_within, sums.final),
                object=self._pck(sums.object_within, sums.final_with_object),
            ),
            normalised_error=ByLongerSide(
                image=self._ratio(sums.image_error, sums.paired, "positive"),
                object=self._ratio(sums.object_error, sums.paired_with_object, "positive"),
            ),
            displacement_px=self._displacement(sums, cells),
            oks=self._ratio(sums.similarity, sums.objects, "share"),
        )

    def _matched(self, sums: Tallies[Floats]) -> dict[str, Estimate]:
        """Compute precision, recall and F1; where nothing was suggested there is none of them."""
        if not sums.suggested.any():
            nothing = Estimate(None, None, None, 0, 0, WILSON, reason=NEVER_SUGGESTED)
            return {"precision": nothing, "recall": nothing, "f1": nothing}
        hits, points = sums.suggested_hit + sums.final_hit, sums.suggested + sums.final
        return {
            "precision": self._share(sums.suggested_hit, sums.suggested),
            "recall": self._share(sums.final_hit, sums.final),
            "f1": self._ratio(hits, points, "share"),
        }

    def _counts(self, group: int) -> PointCounts:
        counts = self.verdicts[group]
        return PointCounts(
            suggested=int(self.suggestions[group]),
            judged=int(counts.sum() - counts[CODES[ADDED]]),
            by_verdict=dict(zip(VERDICTS, counts.tolist(), strict=True)),
        )

    def _pck(self, within: Sequence[Floats], points: Floats) -> tuple[PckAt, ...]:
        return tuple(
            PckAt(alpha, self._share(each, points))
            for alpha, each in zip(self.parameters.alphas, within, strict=True)
        )

    def _share(self, successes: Floats, trials: Floats) -> Estimate:
        return share(successes, trials, self.parameters.limits)

    def _ratio(self, numerators: Floats, denominators: Floats, scale: Scale) -> Estimate:
        return ratio(numerators, denominators, scale=scale, limits=self.parameters.limits)

    def _displacement(self, sums: Tallies[Floats], cells: slice) -> Displacement:
        distance, image = self.moves.within(cells)
        limits = self.parameters.limits
        return Displacement(
            mean=self._ratio(sums.distance, sums.moved, "positive"),
            median=quantile(distance, image, 0.5, limits),
            p90=quantile(distance, image, 0.9, limits),
        )
