"""When what was learnt becomes a new version of a project's suggestions, and how it is named.

A new version makes Label Studio ask for every task again, so not every correction makes one: the
number of learnt images has to reach the next of `STEPS`. But once an example that is in use was
changed or forgotten, a new version is due at once, so that nothing that was deleted is used on.
The name holds a digest of the examples, and of the costs and the tolerance that the step was made
with, so that a version never names two contents. Costs are measured all the time, so a change of
theirs waits for the next step; a tolerance that somebody has just set makes one.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

# With fewer images than the first step, the scores of named points cannot be checked against
# images that were left out.
STEPS = (3, 5, 8, 12, 20, 30, 50)
LATER = 50  # distance of the steps after the last of these
DIGITS = 8  # of the digest; two contents of one project and number of images need different ones

Member = tuple[int, str]  # id and digest of an example


@dataclass(frozen=True, slots=True)
class Terms:
    """What a project's suggestions are judged by, besides its examples.

    Attributes:
        costs: seconds of actions, as far as measured.
        tolerance: of the project's own settings; None for the standard one.
    """

    costs: Mapping[str, float] = field(default_factory=dict)
    tolerance: float | None = None

    @property
    def is_standard(self) -> bool:
        """Whether nothing is this project's own."""
        return not self.costs and self.tolerance is None


STANDARD_TERMS = Terms()


def reached(images: int) -> int:
    """Return the largest step that a number of images has reached; 0 before the first."""
    if images >= STEPS[-1]:
        return images - images % LATER
    place = bisect_right(STEPS, images)
    return STEPS[place - 1] if place else 0


def next_step(step: int) -> int:
    """Return the step after one that `reached` returned."""
    return next((each for each in STEPS if each > step), step + LATER)


def is_due(
    used: Sequence[Member], used_images: int, available: Collection[Member], images: int
) -> bool:
    """Return whether a new step is due.

    Args:
        used: members of the current step.
        used_images: number of images learnt when it was made.
        available: examples that may be used now.
        images: number of images learnt now.
    """
    if not set(used) <= set(available):
        return True
    return reached(images) > reached(used_images)


def name_of(images: int, members: Sequence[Member], key: str, terms: Terms = STANDARD_TERMS) -> str:
    """Return the name of a step: number of images and digest; empty before the first step."""
    if not members:
        return ""
    content: list[object] = [key, sorted(digest for _, digest in members)]
    if not terms.is_standard:
        content += [dict(terms.costs), terms.tolerance]
    text = json.dumps(content, sort_keys=True)
    return f"{images}-{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}"
