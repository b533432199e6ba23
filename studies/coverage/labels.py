"""Krippendorff's α and Cohen's κ of the labels that two annotators give to the same points.

Each gives a point its true label, or, where they err, any label by chance. Labels and errors of one
task resemble each other: its shares of labels are Dirichlet, its share of errors is beta, with the
world's ICC. Chance agreement of two labels is the same whether both, one or none of them is an
error, so that the true α and κ are E[(1 - w)²] = (1 - e)² + ICC·e(1 - e), with w the share of
errors of a task and e its mean; and so is the α of one label against all others.
"""

from collections.abc import Callable, Sequence

import numpy as np

from backend.agreement.clustered import Estimate
from backend.agreement.label_agreement import alpha, alpha_by_label, kappa
from backend.agreement.meetings import Meeting
from backend.agreement.parameters import AgreementParameters
from backend.agreement.points import Points
from studies.coverage.figure import FEWEST, Drawn, Figure
from studies.coverage.world import World

LABELS, SHARES = np.array(["beak", "tail", "wing"]), np.array([0.5, 0.3, 0.2])
ERRORS = (0.15, 0.4)
PARAMETERS = AgreementParameters()
Measure = Callable[[Sequence[Meeting], AgreementParameters], Estimate]


def truth(errors: float) -> Callable[[float], float]:
    """Return the true α and κ."""
    return lambda correlation: (1 - errors) ** 2 + correlation * errors * (1 - errors)


def meetings(world: World, errors: float) -> list[Meeting]:
    """Return the labels of two annotators on as many tasks as the world has images."""
    points, wrong = world.points(), world.chances(errors)
    shares = np.broadcast_to(SHARES, (world.images, len(SHARES)))
    if world.correlation:
        size = (1 - world.correlation) / world.correlation
        shares = world.random.dirichlet(SHARES * size, world.images)
    task = np.repeat(np.arange(world.images), points)
    true = (world.random.random(len(task))[:, None] > np.cumsum(shares, axis=1)[task, :-1]).sum(1)
    given = [
        np.where(
            world.random.random(len(task)) < wrong[task],
            world.random.choice(len(SHARES), len(task), p=SHARES),
            true,
        )
        for _ in range(2)
    ]
    ends = np.cumsum(points)[:-1]
    both = [np.split(LABELS[codes], ends) for codes in given]
    return [_meeting(number, *each) for number, each in enumerate(zip(*both, strict=True))]


def _meeting(task: int, first: np.ndarray, second: np.ndarray) -> Meeting:
    count = len(first)
    one, other = (
        Points(np.zeros((count, 2)), np.full(count, 100.0), labels.tolist())
        for labels in (first, second)
    )
    pairs = np.repeat(np.arange(count)[:, None], 2, axis=1)
    return Meeting(task, task, ("1", "2"), one, other, pairs)


def agreement_by(measure: Measure, errors: float) -> Callable[[World], Drawn]:
    """Return what draws α or κ."""
    return lambda world: Drawn(measure(meetings(world, errors), PARAMETERS))


def alpha_of_one_label(met: Sequence[Meeting], parameters: AgreementParameters) -> Estimate:
    """Return the α of the rarest label against all others."""
    found = {each.label: each.alpha for each in alpha_by_label(met, parameters).by_label}
    return found.get(str(LABELS[-1]), Estimate(None, None, None, 0, 0, ""))


FIGURES = tuple(
    Figure(
        f"{name}, {100 * errors:g} % errors",
        truth(errors),
        agreement_by(measure, errors),
        fewest=fewest,
    )
    for errors in ERRORS
    for name, measure, fewest in (
        ("Krippendorff's α", alpha, FEWEST),
        # It needs as many tasks in which the label occurs.
        ("Krippendorff's α of one label", alpha_of_one_label, 2 * FEWEST),
        ("Cohen's κ", kappa, FEWEST),
    )
)
