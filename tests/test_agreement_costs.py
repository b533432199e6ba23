"""What actions cost a team, measured from lead times."""

from dataclasses import replace

import numpy as np
import pytest
from agreement_table import Made, added, columns_of, deleted, kept
from scipy.optimize import least_squares

from backend.agreement.costs import (
    ACTIONS,
    TimedWork,
    action_counts,
    default_costs,
    fit_costs,
    least_squares_of_logs,
    measure_costs,
    timed_work,
)
from backend.agreement.parameters import AgreementParameters

PARAMETERS = AgreementParameters()
TRUE = np.array([0.5, 1.5, 1.2, 1.8, 3.3])
OWN = np.array([4.0, 8.0, 15.0, 6.0])  # s an annotation of each annotator
AT = (10.0, 10.0)


def world(
    seed: int, images: int, *, withheld: float = 0.2, suggestions: int | None = None
) -> TimedWork:
    """Lead times of one annotator an image, with known costs; images are easy or hard."""
    rng = np.random.default_rng(seed)
    person = rng.integers(len(OWN), size=images)
    many = rng.integers(4, 16, images) if suggestions is None else np.full(images, suggestions)
    shares = rng.dirichlet([4, 3, 2, 1], size=images)
    outcomes = np.array([rng.multinomial(n, p) for n, p in zip(many, shares, strict=True)])
    counts = np.column_stack([many, outcomes[:, 1:], rng.poisson(2, images)]).astype(float)
    without = rng.random(images) < withheld
    counts[without] = 0
    counts[without, 4] = rng.integers(3, 12, without.sum())
    noise = rng.normal(0, 0.5, images)
    return TimedWork(
        counts, (counts @ TRUE + OWN[person]) * np.exp(noise), person, np.arange(images)
    )


def test_costs_of_known_worlds_lie_in_their_intervals():
    worlds, inside, found = 120, np.zeros(5), []
    for seed in range(worlds):
        costs = fit_costs(world(seed, 150), PARAMETERS)
        found.append([each.value for each in costs])
        # A cost without an interval is one of which nothing is said.
        inside += [
            each.low is None or each.low <= true <= each.high
            for each, true in zip(costs, TRUE, strict=True)
        ]
    # 95 % ± 3 standard errors of 120 worlds.
    assert (inside / worlds > 0.89).all()
    assert np.mean(found, axis=0) == pytest.approx(TRUE, rel=0.12)


def test_the_fit_is_that_of_scipy_on_the_logarithms():
    work = world(1, 300)
    design = np.column_stack([work.counts, work.annotator[:, None] == np.arange(len(OWN))])

    def rest(values):
        return np.log(work.seconds) - np.log(design @ values)

    start = np.full(design.shape[1], 1.0)
    oracle = least_squares(rest, start, bounds=(1e-9, np.inf), xtol=1e-12, ftol=1e-12)
    assert least_squares_of_logs(design, work.seconds) == pytest.approx(oracle.x, rel=1e-3)


def test_times_without_noise_give_the_costs_themselves():
    work = world(2, 200)
    work = replace(work, seconds=work.counts @ TRUE + OWN[work.annotator])
    assert [each.value for each in fit_costs(work, PARAMETERS)] == pytest.approx(TRUE, rel=1e-4)


def test_no_cost_is_below_zero():
    work = world(3, 200)
    # The more was added, the shorter it took.
    work = replace(work, seconds=60 / (1 + work.counts[:, 4]) + work.counts @ (TRUE * 0.1))
    add = fit_costs(work, PARAMETERS)[4]
    assert (add.value, add.low, add.reason) == (0.0, None, "lead times leave nothing for it")


def test_an_open_tab_hardly_moves_the_costs():
    work = world(4, 600)
    seconds = work.seconds.copy()
    seconds[::100] = 1700.0
    before = [each.value for each in fit_costs(work, PARAMETERS)]
    after = [each.value for each in fit_costs(replace(work, seconds=seconds), PARAMETERS)]
    assert after[4] == pytest.approx(before[4], rel=0.2)


def test_looking_is_not_told_where_all_images_have_as_many_suggestions():
    costs = fit_costs(world(5, 300, withheld=0.0, suggestions=12), PARAMETERS)
    assert costs[0].value is None
    assert costs[0].reason == "it occurs equally often beside the other actions"
    assert costs[1].low < TRUE[1] < costs[1].high


def test_an_action_that_never_occurs_is_not_told():
    work = world(6, 200)
    work.counts[:, 3] = 0
    assert fit_costs(work, PARAMETERS)[3].reason == "it does not occur"


def test_verdicts_count_as_actions():
    columns = columns_of(
        Made(
            1,
            [
                kept(AT),
                kept((20, 10), by=7),
                deleted((30, 10)),
                kept((40, 10), final_label="tail"),
                kept((50, 10), by=7, final_label="tail"),
                added((60, 10)),
            ],
        )
    )
    assert action_counts(columns, saw_suggestions=True).tolist() == [[5, 2, 1, 2, 1]]
    assert action_counts(columns, saw_suggestions=False).tolist() == [[0, 0, 0, 0, 5]]


def test_first_submissions_with_a_time_of_work_are_timed():
    shown = columns_of(
        Made(1, [kept(AT)], lead_time=5.0),
        Made(2, [kept(AT)], lead_time=0.0),
        Made(3, [kept(AT)], lead_time=3600.0),
        Made(4, [kept(AT)]),
        Made(5, [deleted(AT)], first=[kept(AT)], lead_time=7.0, annotator=2),
    )
    withheld = columns_of(Made(1, [added(AT)] * 2, lead_time=9.0, shown=False))
    work = timed_work(shown, withheld, PARAMETERS)
    assert work.seconds.tolist() == [5, 7, 9]
    assert work.counts.tolist() == [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 2]]
    assert work.annotator.tolist() == [0, 1, 0] and work.image.tolist() == [0, 1, 0]


def test_few_timed_annotations_leave_the_defaults():
    shown = columns_of(*(Made(task, [kept(AT)], lead_time=5.0) for task in range(49)))
    costs = measure_costs(shown, columns_of(), PARAMETERS)
    assert (costs.annotations, costs.images) == (49, 49)
    assert (costs.add.seconds, costs.add.source) == (3.3, "default")
    assert costs.add.reason == "49 of at least 50 timed annotations"


def test_measured_costs_replace_the_defaults_where_they_are_narrow_enough():
    rng = np.random.default_rng(0)
    made = []
    for task in range(300):
        drawn, wrong = int(rng.integers(1, 9)), int(rng.integers(0, 9))
        seconds = (5 + 2.0 * drawn + 4.0 * wrong) * float(np.exp(rng.normal(0, 0.2)))
        verdicts = [added(AT)] * drawn + [deleted(AT)] * wrong
        made.append(Made(task, verdicts, lead_time=seconds))
    costs = measure_costs(columns_of(*made), columns_of(), PARAMETERS)
    assert costs.add.source == "measured"
    assert costs.add.seconds == costs.add.measured.value == pytest.approx(2.0, rel=0.2)
    assert (costs.move.source, costs.move.reason) == ("default", "it does not occur")
    # Every suggestion was deleted: looking and deleting cannot be told apart.
    assert costs.look.reason == "it occurs equally often beside the other actions"
    wide = replace(PARAMETERS, widest_cost=0.001)
    add = measure_costs(columns_of(*made), columns_of(), wide).add
    assert (add.source, add.seconds) == ("default", 3.3)
    assert add.reason is not None and add.reason.startswith("lead times tell it no closer than")


def test_a_sample_is_drawn_the_same_each_time():
    work = world(7, 100)
    one, other = work.some(30, 1), work.some(30, 1)
    assert len(one.seconds) == 30
    assert one.seconds.tolist() == other.seconds.tolist()
    assert work.some(100, 1) is work


def test_the_defaults_are_those_of_the_parameters():
    costs = default_costs("because", replace(PARAMETERS, move_seconds=7.0))
    assert [getattr(costs, name).seconds for name in ACTIONS] == [0.5, 7.0, 1.5, 1.5, 3.3]
    assert costs.move.reason == "because"
