"""Points of two parties on one withheld task, paired one to one; a party is a person or the
detector.

Pairing is the dear part of every comparison of people, so it is done once for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from backend.agreement.columns import Floats, Integers
from backend.agreement.parameters import AgreementParameters
from backend.agreement.points import Points, pair
from backend.agreement.table import VerdictTable

DETECTOR = "detector"


@dataclass(frozen=True)
class Meeting:
    """Points of two parties of one task, paired regardless of their ids and labels.

    Attributes:
        task: place among the compared tasks.
        image: number of the task's image.
        names: of both parties.
        pairs: (P, 2): indices into both sets of points.
    """

    task: int
    image: int
    names: tuple[str, str]
    first: Points
    second: Points
    pairs: Integers

    @property
    def points(self) -> int:
        """Number of points of both."""
        return len(self.first.position) + len(self.second.position)

    @property
    def f1(self) -> float:
        """F1 of the two sets; 1 where both are empty."""
        return 2 * len(self.pairs) / self.points if self.points else 1.0

    @cached_property
    def distances(self) -> Floats:
        """Distance of each pair, px; (P,)."""
        one, other = self.pairs.T
        apart = self.first.position[one] - self.second.position[other]
        return np.asarray(np.hypot(apart[:, 0], apart[:, 1]))

    @cached_property
    def lengths(self) -> Floats:
        """Longer side of the object of each pair, else of the image, px; (P,)."""
        one, other = self.pairs.T
        return np.asarray(np.minimum(self.first.length[one], self.second.length[other]))

    @cached_property
    def labels(self) -> list[tuple[str, str]]:
        """The labels that both gave to the points of each pair."""
        return [
            (self.first.label[one], self.second.label[other]) for one, other in self.pairs.tolist()
        ]


@dataclass(frozen=True)
class Meetings:
    """Everybody who met on the compared tasks.

    Attributes:
        among: annotators with one another, every two of a task.
        with_detector: the detector, first, with each annotator.
    """

    among: Sequence[Meeting]
    with_detector: Sequence[Meeting]


def meetings(table: VerdictTable, parameters: AgreementParameters) -> Meetings:
    """Pair the points of every two annotators of a compared task, and of each with the detector."""
    among: list[Meeting] = []
    with_detector: list[Meeting] = []
    near = parameters.near
    for place, (task, image) in enumerate(
        zip(table.compared_tasks, images_of_tasks(table).tolist(), strict=True)
    ):
        names = [str(each.annotator) for each in task]
        final = [table.points.final(each.id) for each in task]
        for one, other in combinations(range(len(task)), 2):
            pairs = pair(final[one], final[other], near)
            both = (names[one], names[other])
            among.append(Meeting(place, image, both, final[one], final[other], pairs))
        for name, points, annotation in zip(names, final, task, strict=True):
            suggested = table.points.suggested(annotation.id)
            pairs = pair(suggested, points, near)
            with_detector.append(Meeting(place, image, (DETECTOR, name), suggested, points, pairs))
    return Meetings(among, with_detector)


def images_of_tasks(table: VerdictTable) -> Integers:
    """Return the image of each compared task, as the withheld annotations number them."""
    withheld = table.withheld
    image = {
        each.id: int(number)
        for each, number in zip(withheld.annotations, withheld.image, strict=True)
    }
    return np.array([image[task[0].id] for task in table.compared_tasks], np.int64)


def joined(parts: Sequence[Floats]) -> Floats:
    """Return arrays as one."""
    return np.concatenate([np.empty(0), *parts])
