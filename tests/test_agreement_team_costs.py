"""Costs of a team: from lead times in the log to what its next step counts with."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from learning_data import BASE, LIMIT, learn
from verdict_data import UID, added, annotation, detection, event, moved, predict

from backend.agreement.costs import default_costs
from backend.agreement.figures import measure_agreement
from backend.agreement.parameters import AgreementParameters
from backend.agreement.team_costs import COUNTERPARTS, TeamCosts, measured_only
from backend.database.connection import Database
from backend.learning.cost_storage import CostStorage
from backend.learning.step_storage import StepStorage
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters
from model.naming.worth import STANDARD

OTHER_UID = "4.1795348800"
# s: an annotation, look, move, delete, draw.
OWN, LOOK, MOVE, DELETE, DRAW = 5.0, 0.7, 1.9, 1.1, 4.2


def work(database: Database, *tasks: int) -> None:
    """Annotate tasks, each action with its own time, and a twentieth of noise."""
    rng = np.random.default_rng(tasks[0])
    for task in tasks:
        count = int(rng.integers(4, 9))
        regions = predict(database, task, detection(*[(10.0 * n, 10.0) for n in range(1, count)]))
        points = [each for each in regions if each["type"] == "keypointlabels"]
        deleted, drawn = int(rng.integers(0, 3)), int(rng.integers(0, 4))
        dragged = int(rng.integers(0, 3))
        left: list[dict[str, Any]] = points[deleted:]
        left = [moved(each, 0, 20) for each in left[:dragged]] + left[dragged:]
        left += [added(5 + 10 * n, 90, region_id=f"drawn{n}") for n in range(drawn)]
        seconds = OWN + LOOK * len(points) + MOVE * dragged + DELETE * deleted + DRAW * drawn
        lead_time = seconds * np.exp(rng.normal(0, 0.05))
        event(database, annotation(task, left, parent=None, lead_time=lead_time))
    Recorder(Settings(), database).drain()


@pytest.fixture
def team(database: Database) -> TeamCosts:
    return TeamCosts(Settings(), database)


def test_costs_that_lead_times_tell_closely_count_from_the_next_step_on(
    database: Database, team: TeamCosts
) -> None:
    learn(database, 1, 2, 3, uid=UID)
    work(database, *range(1, 61))
    assert team.measure_due() == [UID]
    costs = CostStorage(database).costs(UID)
    assert costs.keys() >= {"place", "verify", "drag", "delete"}
    true = {"place": DRAW, "verify": LOOK, "drag": MOVE, "delete": DELETE}
    assert {name: costs[name] for name in true} == pytest.approx(true, rel=0.2)
    report = measure_agreement(database, Filters(project=UID)).costs
    for name, seconds in costs.items():
        assert seconds == round(getattr(report, COUNTERPARTS[name]).seconds, 2)
    assert "relabel" not in costs  # nobody relabelled
    learn(database, 4, 5, uid=UID)
    step = StepStorage(database, limit=LIMIT).current(UID, BASE)
    assert step is not None and step.costs == costs


def test_a_project_is_measured_again_once_it_has_grown_by_a_tenth(
    database: Database, team: TeamCosts
) -> None:
    learn(database, 1, uid=UID)
    work(database, *range(1, 50))
    assert team.measure_due() == []  # 49 annotations tell no cost
    work(database, 50)
    assert team.measure_due() == [UID]
    assert team.measure_due() == []
    work(database, *range(51, 55))
    assert team.measure_due() == []
    work(database, 55)
    assert team.measure_due() == [UID]


def test_a_project_that_learns_nothing_is_not_measured(database: Database, team: TeamCosts) -> None:
    work(database, *range(1, 51))
    assert team.measure_due() == []
    learn(database, 1, uid=OTHER_UID)  # another project that learns has no log of its own
    assert team.measure_due() == []


def test_a_worker_that_stops_claims_no_further_project(database: Database, team: TeamCosts) -> None:
    learn(database, 1, uid=UID)
    work(database, *range(1, 51))
    assert team.measure_due(lambda: True) == []
    assert team.measure_due() == [UID]  # what was not begun is not claimed


def test_a_cost_that_was_not_measured_keeps_the_standard_one(database: Database) -> None:
    """The report has defaults of its own, which are not passed on."""
    parameters = AgreementParameters()
    nothing = default_costs("too few", parameters)
    assert measured_only(nothing) == {}
    one = replace(nothing, add=replace(nothing.add, seconds=2.3456, source="measured"))
    assert measured_only(one) == {"place": 2.35}
    assert replace(STANDARD, **measured_only(one)).verify == STANDARD.verify
