"""What annotators submitted first, one number an annotation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.agreement.columns import CODES, Flags, Floats, Integers, VerdictColumns
from backend.agreement.parameters import AgreementParameters
from backend.verdicts.judging import ACCEPTED


@dataclass(frozen=True)
class Submissions:
    """First submissions; every attribute is (annotations,).

    Attributes:
        annotator: name; "" where nobody knows who it was.
        points: suggested and added points; 0 for a state that is no first submission.
        suggested: suggestions among them.
        accepted: those left untouched.
        seconds: lead time.
        unchanged: whether every suggestion was accepted, and nothing added.
        judged: whether it holds a suggestion.
        timed: `judged`, and of a known time that is work.
        hasty: `timed`, unchanged and faster than one can look.
    """

    annotator: NDArray[np.str_]
    points: Integers
    suggested: Integers
    accepted: Integers
    seconds: Floats
    unchanged: Flags
    judged: Flags
    timed: Flags
    hasty: Flags

    @classmethod
    def of(cls, columns: VerdictColumns, parameters: AgreementParameters) -> "Submissions":
        """Count the points of each annotation."""
        first, annotations = columns.first_submissions, len(columns.annotations)
        counted = first.suggested | first.final
        points = np.bincount(first.annotation[counted], minlength=annotations)
        of_accepted = first.annotation[counted & (first.verdict == CODES[ACCEPTED])]
        accepted = np.bincount(of_accepted, minlength=annotations)
        unchanged = accepted == points
        suggested = np.bincount(first.annotation[first.suggested], minlength=annotations)
        seconds = np.array([each.lead_time for each in columns.annotations], np.float64)
        judged = suggested > 0
        timed = judged & (seconds > 0) & (seconds <= parameters.longest_seconds)
        return cls(
            annotator=annotator_names(columns),
            points=points.astype(np.int64),
            suggested=suggested.astype(np.int64),
            accepted=accepted.astype(np.int64),
            seconds=seconds,
            unchanged=judged & unchanged,
            judged=judged,
            timed=timed,
            hasty=timed & unchanged & (seconds < parameters.hasty_seconds * points),
        )


def annotator_names(columns: VerdictColumns) -> NDArray[np.str_]:
    """Return the annotator of each annotation; "" where nobody knows who it was."""
    return np.array(
        ["" if each.annotator is None else str(each.annotator) for each in columns.annotations],
        str,
    )
