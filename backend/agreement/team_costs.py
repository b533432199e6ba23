"""Measure what actions cost each project's annotators, for the rule of what is shown to them.

The costs are those of the report. The report uses its own defaults where lead times do not tell a
cost closely, the rule the standard costs of `model.naming.worth`: so only what was measured is
passed on.
"""

import logging
from collections.abc import Callable

from backend.agreement.costs import Costs, measure_costs
from backend.agreement.loading.queries import load_table
from backend.agreement.parameters import AgreementParameters
from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database
from backend.learning.cost_storage import CostStorage
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from backend.verdicts.records import Filters

logger = logging.getLogger(__name__)

GROWTH = 0.1  # a project is measured again once it has this share more annotations
DIGITS = 2  # of the seconds
# Cost of the rule → cost of the report. To decide that a label is absent leaves no trace in the
# log, so nothing measures it.
COUNTERPARTS = {
    "place": "add",
    "verify": "look",
    "drag": "move",
    "delete": "delete",
    "relabel": "name",
}


def measured_only(found: Costs) -> dict[str, float]:
    """Return the costs that were measured, s, by their names in `worth.Costs`."""
    pairs = ((name, getattr(found, other)) for name, other in COUNTERPARTS.items())
    return {name: round(cost.seconds, DIGITS) for name, cost in pairs if cost.source == "measured"}


class TeamCosts:
    """Keeps the costs of the projects that learn."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        parameters: AgreementParameters = AgreementParameters(),  # noqa: B008
    ) -> None:
        self._database = database
        self._parameters = parameters
        self._queries = AgreementQueries(database)
        self._storage = CostStorage(database)
        self._examples = ExampleStorage(database, limit=settings.learn_examples)

    def measure_due(self, stopped: Callable[[], bool] = lambda: False) -> list[str]:
        """Measure every project whose log has grown enough; several processes may do so at once.

        Args:
            stopped: whether to stop before the next project.

        Returns:
            The uids of the projects that were measured.
        """
        learning = set(self._examples.project_uids())
        before, measured = self._storage.counted(), []
        for uid, count in self._queries.judged_annotations().items():
            known = before.get(uid, 0)
            if stopped():
                break
            few = count < self._parameters.fewest_timed or count - known < known * GROWTH
            if few or uid not in learning or not self._storage.claim(uid, known, count):
                continue
            self._measure(uid)
            measured.append(uid)
        return measured

    def _measure(self, uid: str) -> None:
        table = load_table(self._database, Filters(project=uid), self._parameters)
        costs = measured_only(measure_costs(table.shown, table.withheld, self._parameters))
        if costs != self._storage.costs(uid):
            logger.info("Project %s: its next step counts with its own costs: %s", uid, costs)
        self._storage.save(uid, costs)
