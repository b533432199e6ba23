"""How many corrected images the suggestions of each annotation were made with.

The version of the suggestions says it. Versions are grouped by steps, those of
`learning.steps`, whatever their models and contents.
"""

from collections.abc import Sequence

import numpy as np

from backend.agreement.columns import Integers
from backend.agreement.records import JudgedAnnotation
from backend.learning.records import images_of
from backend.learning.steps import next_step, reached

NONE_LEARNT = "none"


def images_learnt(annotations: Sequence[JudgedAnnotation]) -> tuple[list[str], Integers]:
    """Return the names of the groups that occur, fewest images first, and the group of each.

    Returns:
        names: `NONE_LEARNT`, or "5 to 7".
        groups: (annotations,), indices of names.
    """
    steps = np.array([reached(images_of(each.model_version)) for each in annotations], np.int64)
    found, groups = np.unique(steps, return_inverse=True)
    return [_name(int(step)) for step in found], groups.astype(np.int64)


def _name(step: int) -> str:
    return f"{step} to {next_step(step) - 1}" if step else NONE_LEARNT
