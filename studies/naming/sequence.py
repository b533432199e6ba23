"""Annotating in sequence: each image is suggested from those before it, corrected, and learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from model.keypoint import Keypoint
from model.naming.learner import NamedPoint
from model.naming.worth import Costs, is_worth_showing
from studies.naming.accuracy import distances
from studies.naming.cases import Case
from studies.naming.learners import is_step, learner_for

# A point has to be moved beyond this distance, in box lengths.
TOLERANCE = 0.05
SCRATCH, UNNAMED, EVERYTHING, WORTHWHILE = (
    "from scratch",
    "unnamed points",
    "everything shown",
    "worthwhile shown",
)


@dataclass(frozen=True, eq=False)
class Suggested:
    """A case with what was suggested for it when it was opened.

    Attributes:
        position: number of images corrected before it.
        points: of every label, shown or not.
        unnamed: what the detector finds without names.
    """

    sequence: int
    position: int
    case: Case
    points: Sequence[NamedPoint]
    unnamed: Sequence[Keypoint]


def simulate(
    cases: Sequence[Case],
    length: int,
    sequences: int,
    unnamed: Mapping[str, Sequence[Keypoint]],
) -> list[Suggested]:
    """Suggest every image of some random sequences from those before it.

    Args:
        unnamed: name of an image → the detector's points.
    """
    found = []
    for sequence in range(sequences):
        learner = learner_for(cases[0])
        order = np.random.default_rng([sequence, length]).permutation(len(cases))[:length]
        for position in tqdm(range(len(order)), desc=f"sequence {sequence + 1}", leave=False):
            case = cases[order[position]]
            if is_step(position):
                learner.fit()
            seen = unnamed.get(case.example.name, ())
            found.append(Suggested(sequence, position, case, learner.suggest(case), seen))
            learner.add(case)
    return found


@dataclass(frozen=True, slots=True)
class Work:
    """What one image takes.

    Attributes:
        seconds: by the cost model.
        actions: points placed, moved, deleted or renamed, and labels decided absent.
        shown, right: suggestions shown, and those of them that needed nothing.
    """

    seconds: float
    actions: int
    shown: int = 0
    right: int = 0


def from_scratch(suggested: Suggested, costs: Costs) -> Work:
    """Return the work without suggestions."""
    example = suggested.case.example
    visible, absent = len(example.points), len(example.absent)
    return Work(visible * costs.place + absent * costs.absent, visible + absent)


def with_names(
    suggested: Suggested, costs: Costs, *, everything: bool, threshold: float = 0.0
) -> Work:
    """Return the work with named suggestions: those that are worth showing, or all.

    A suggestion takes a look; a misplaced one is moved. One of a hidden label is deleted, or gets
    the name of a landmark that it lies on and that nothing was suggested for, as where left and
    right were confused.

    Args:
        everything: show all suggestions, even those that are not worth showing.
        threshold: least score of what is shown.
    """
    example = suggested.case.example
    shown = [
        point
        for point in suggested.points
        if point.score >= threshold and (everything or is_worth_showing(point, costs))
    ]
    away = distances(suggested.case, shown)
    right = int((away <= TOLERANCE).sum())
    hidden = int(np.isnan(away).sum())
    moved = len(shown) - right - hidden
    labels = {point.label for point in shown}
    unsuggested = [place for label, place in example.points.items() if label not in labels]
    astray = [(p.x, p.y) for p in shown if p.label not in example.points]
    renamed = _pairs(astray, unsuggested, TOLERANCE * suggested.case.length)
    deleted, missing = hidden - renamed, len(unsuggested) - renamed
    absent = len(example.absent - labels)
    seconds = (
        len(shown) * costs.verify
        + moved * costs.drag
        + renamed * min(costs.relabel, costs.delete + costs.place)
        + deleted * costs.delete
        + missing * costs.place
        + absent * costs.absent
    )
    return Work(seconds, moved + hidden + missing + absent, len(shown), right)


def _pairs(
    points: Sequence[tuple[float, float]], landmarks: Sequence[tuple[float, float]], radius: float
) -> int:
    """Return how many points can be given a landmark of their own within a radius, px."""
    from scipy.optimize import linear_sum_assignment

    first = np.array(points, np.float64).reshape(-1, 2)
    second = np.array(landmarks, np.float64).reshape(-1, 2)
    near = np.linalg.norm(first[:, None] - second, axis=2) <= radius
    rows, columns = linear_sum_assignment(~near)
    return int(near[rows, columns].sum())


def with_unnamed_points(suggested: Suggested, costs: Costs) -> Work:
    """Return the work with the detector's points, all of one name.

    A point within the tolerance of a landmark that no better one has gets its name; all others are
    deleted, and the landmarks without a point are placed.
    """
    example, points = suggested.case.example, suggested.unnamed
    truth = list(example.points.values())
    kept = _pairs([(p.x, p.y) for p in points], truth, TOLERANCE * suggested.case.length)
    deleted, missing = len(points) - kept, len(truth) - kept
    seconds = (
        len(points) * costs.verify
        + kept * costs.relabel
        + deleted * costs.delete
        + missing * costs.place
        + len(example.absent) * costs.absent
    )
    actions = len(points) + missing + len(example.absent)
    return Work(seconds, actions, len(points), 0)


def work(suggested: Suggested, costs: Costs) -> dict[str, Work]:
    """Return the work on one image by way of working."""
    return {
        SCRATCH: from_scratch(suggested, costs),
        UNNAMED: with_unnamed_points(suggested, costs),
        EVERYTHING: with_names(suggested, costs, everything=True),
        WORTHWHILE: with_names(suggested, costs, everything=False),
    }


@dataclass(frozen=True, slots=True)
class Change:
    """Change against working from scratch, in %; negative where time is saved.

    Attributes:
        low, high: 95 % interval over images.
    """

    mean: float
    low: float
    high: float


def change(works: Sequence[Work], scratch: Sequence[Work], images: Sequence[str]) -> Change:
    """Return the change of the sum of the seconds, with an interval.

    The ratio of the sums is linearised; an image that occurs in several sequences counts as one
    cluster, and the interval is Student's with as many degrees of freedom as there are images
    less one.

    Args:
        images: name of the image of each.

    Source: Cochran, "Sampling Techniques", 1977, section 6.3 and 9A.
    """
    from scipy.stats import t

    with_it = np.array([each.seconds for each in works])
    without = np.array([each.seconds for each in scratch])
    ratio = float(with_it.sum() / without.sum())
    _, cluster = np.unique(images, return_inverse=True)
    residuals = np.bincount(cluster, with_it - ratio * without)
    count = len(residuals)
    half = np.nan
    if count > 1:
        variance = count / (count - 1) * float((residuals**2).sum()) / float(without.sum()) ** 2
        half = float(t.ppf(0.975, count - 1)) * variance**0.5
    return Change(100 * (ratio - 1), 100 * (ratio - half - 1), 100 * (ratio + half - 1))


def change_of(suggested: Sequence[Suggested], costs: Costs, way: str) -> Change:
    """Return the change of the seconds by one way of working, against working from scratch."""
    works = [work(each, costs) for each in suggested]
    return change(
        [each[way] for each in works],
        [each[SCRATCH] for each in works],
        [each.case.example.name for each in suggested],
    )
