"""The verdicts about points that count, as columns of numbers: a million rows are little work."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from backend.agreement.queries import AgreementQueries
from backend.verdicts.judging import ADDED, DELETED, VERDICTS
from backend.verdicts.packing import unpack
from backend.verdicts.records import Filters

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CODES = {name: code for code, name in enumerate(VERDICTS)}


@dataclass(frozen=True)
class Columns:
    """Annotations, and the verdicts about their points.

    Attributes:
        states: the annotations; `state` says which a verdict belongs to.
        image: of each annotation, which image it is of, from 0.
        labels: names; columns hold places in it, -1 for none.
        verdict: places in `corrections.VERDICTS`.
        displacement, length, area: px, px, px²; NaN where there is none or it is unknown.
        object: its place among the annotation's rectangles; -1 for none.
        suggested, final: whether the row counts as a suggestion, as a final point.
        suggested_hit, final_hit: whether that has a partner near it.
    """

    states: Sequence[Row[Any]]
    image: Integers
    labels: Sequence[str]
    state: Integers
    verdict: Integers
    suggested_label: Integers
    final_label: Integers
    score: Floats
    displacement: Floats
    length: Floats
    area: Floats
    object: Integers
    suggested: Flags
    final: Flags
    suggested_hit: Flags
    final_hit: Flags

    @property
    def images(self) -> int:
        """How many images there are."""
        return int(self.image.max()) + 1 if len(self.image) else 0

    @property
    def image_length(self) -> Floats:
        """Longer side of the image of each verdict, px."""
        longer = np.array([max(row.width, row.height) for row in self.states], np.float64)
        return np.asarray(longer[self.state], np.float64)

    def of_states(self, chosen: Flags) -> "Columns":
        """Only some annotations and their verdicts."""
        rows = chosen[self.state]
        place = np.cumsum(chosen) - 1
        states = [row for row, keep in zip(self.states, chosen.tolist(), strict=True) if keep]
        names = [name for name in COLUMNS if name != "state"]
        return replace(
            self,
            states=states,
            image=np.unique(self.image[chosen], return_inverse=True)[1].astype(np.int64),
            state=place[self.state[rows]].astype(np.int64),
            **{name: getattr(self, name)[rows] for name in names},
        )


COLUMNS = (
    "state",
    "verdict",
    "suggested_label",
    "final_label",
    "score",
    "displacement",
    "length",
    "area",
    "object",
    "suggested",
    "final",
    "suggested_hit",
    "final_hit",
)


def load(log: AgreementQueries, filters: Filters) -> Columns:
    """Every annotation that counts and passes, and its verdicts about points.

    With a label, verdicts count as suggestions where it was suggested, and as final points where
    it is the final label.
    """
    states = log.current_states(filters)
    points, owner, labels = unpack([(row.points, row.labels) for row in states])
    verdict = points["verdict"].astype(np.int64)
    suggested, final = verdict != CODES[ADDED], verdict != CODES[DELETED]
    if filters.label is not None:
        code = labels.index(filters.label) if filters.label in labels else -2
        suggested &= points["suggested_label"] == code
        final &= points["final_label"] == code
    images: dict[tuple[str, int, str], int] = {}
    image = [
        images.setdefault((row.project_uid, row.task_id, row.image_url), len(images))
        for row in states
    ]
    columns = Columns(
        states=states,
        image=np.array(image, np.int64),
        labels=labels,
        state=owner,
        verdict=verdict,
        suggested_label=points["suggested_label"],
        final_label=points["final_label"],
        score=points["score"],
        displacement=points["displacement"],
        length=points["length"],
        area=points["area"],
        object=points["object"].astype(np.int64),
        suggested=suggested,
        final=final,
        suggested_hit=(points["suggested_hit"] == 1) & suggested,
        final_hit=(points["final_hit"] == 1) & final,
    )
    return columns if filters.label is None else _only(columns, suggested | final)


def _only(columns: Columns, rows: Flags) -> Columns:
    return replace(columns, **{name: getattr(columns, name)[rows] for name in COLUMNS})


def time_of(moments: Sequence[datetime]) -> list[str]:
    """The day, week or month of each moment, whichever makes a readable number of them."""
    if not moments:
        return []
    days = (max(moments) - min(moments)).days
    if days <= 31:
        return [f"{moment:%Y-%m-%d}" for moment in moments]
    return [f"{moment:%G-W%V}" if days <= 365 else f"{moment:%Y-%m}" for moment in moments]
