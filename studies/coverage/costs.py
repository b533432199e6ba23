"""What each action of an annotator costs, from lead times that add up from known costs."""

from collections.abc import Callable

import numpy as np

from backend.agreement.clustered import Estimate
from backend.agreement.costs import ACTIONS, TimedWork, fit_costs
from backend.agreement.parameters import AgreementParameters
from studies.coverage.figure import Drawn, Figure, constant
from studies.coverage.world import World

COSTS = (0.8, 2.0, 1.2, 1.5, 4.0)  # s, of each of `ACTIONS`
OWN_TIMES = (3.0, 5.0, 8.0, 12.0)  # s an annotation, of each annotator
COST_SIGMA = 0.5  # of the logarithm of an annotation's time, where its actions are known


def timed_work(world: World) -> TimedWork:
    """Return lead times that add up from what annotators did, 2 % with an open tab beside."""
    image = np.repeat(np.arange(world.images), world.annotations())
    many = world.points()[image]
    shares = world.random.dirichlet((5.5, 1.5, 2.5, 0.5), len(image))
    counts = world.random.multinomial(many, shares).astype(np.float64)
    counts[:, 0] = many
    counts = np.column_stack([counts, world.random.poisson(2, len(image))])
    person = world.random.integers(len(OWN_TIMES), size=len(image))
    noise = COST_SIGMA * world.alike(image)
    seconds = (counts @ np.array(COSTS) + np.array(OWN_TIMES)[person]) * np.exp(noise)
    open_tab = world.random.random(len(image)) < 0.02
    seconds += open_tab * world.random.uniform(60, 1500, len(image))
    return TimedWork(counts, seconds, person, image)


def cost_of(place: int) -> Callable[[World], Drawn]:
    """Return what measures the cost of one action, from as many annotations as the report needs."""

    def draw(world: World) -> Drawn:
        work, parameters = timed_work(world), AgreementParameters()
        if len(work.seconds) < parameters.fewest_timed:
            return Drawn(Estimate(None, None, None, 0, 0, ""))
        return Drawn(fit_costs(work, parameters)[place])

    return draw


FIGURES = tuple(
    Figure(f"cost of an action: {name}", constant(COSTS[place]), cost_of(place), fewest=50)
    for place, name in enumerate(ACTIONS)
)
