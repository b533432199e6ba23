"""Tests for drift: their false alarms, their power, and the moment that they find."""

from dataclasses import replace
from datetime import UTC, timedelta

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from agreement_table import MOMENT, Made, columns_of, deleted, kept
from scipy.stats import norm, t

from backend.agreement.as_json import to_json
from backend.agreement.drift import Drift, Judged, change, drift, trend
from backend.agreement.parameters import AgreementParameters

PARAMETERS = AgreementParameters()


def world(
    random: np.random.Generator, images: int, icc: float, *, step: float = 0.0, slope: float = 0.0
) -> Judged:
    """Images of 1 to 12 suggestions; acceptance steps after 60 % of them, or rises evenly."""
    points, place = random.integers(1, 13, images), np.arange(images) / images
    chance = np.clip(0.6 + step * (place >= 0.6) + slope * (place - 0.5), 0.02, 0.98)
    if icc:
        size = (1 - icc) / icc
        chance = random.beta(chance * size, (1 - chance) * size)
    accepted = random.binomial(points, chance).astype(float)
    return Judged(accepted, points.astype(float), np.arange(images), np.arange(images))


@pytest.mark.parametrize("icc", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("images", [12, 300])
def test_one_in_twenty_projects_without_drift_raises_an_alarm(images, icc):
    random = np.random.default_rng(1)
    worlds = [world(random, images, icc) for _ in range(400)]
    trends = np.mean([trend(each).p < 0.05 for each in worlds])
    changes = np.mean([change(each, n, 99)[0].p <= 0.05 for n, each in enumerate(worlds)])
    assert 0.02 < trends < 0.085
    assert 0.02 < changes < 0.085


def test_drift_is_found():
    random = np.random.default_rng(2)
    rising = [trend(world(random, 200, 0.2, slope=0.3)) for _ in range(40)]
    assert np.mean([each.p < 0.05 for each in rising]) > 0.9
    assert np.mean([each.change for each in rising]) == pytest.approx(0.3, abs=0.03)
    stepped = [change(world(random, 200, 0.2, step=-0.25), n, 199) for n in range(40)]
    found = [place for _, place in stepped if place is not None]
    assert len(found) > 36
    assert np.median(found) == pytest.approx(120, abs=5)


def test_the_trend_is_that_of_a_regression_with_the_variance_between_clusters():
    random = np.random.default_rng(3)
    plain = world(random, 150, 0.2, slope=0.3)
    # Two annotators on some images, at different times.
    twice = np.concatenate([np.arange(150), np.arange(40)])
    order = random.permutation(190)
    judged = Judged(plain.accepted[twice], plain.suggested[twice], twice, order)
    rows = pd.DataFrame({"x": order / 189, "image": twice}).assign(
        y=judged.accepted / judged.suggested, n=judged.suggested
    )
    fitted = smf.wls("y ~ x", rows, weights=rows.n).fit(
        cov_type="cluster", cov_kwds={"groups": rows.image}
    )
    found = trend(judged)
    assert found.change == pytest.approx(fitted.params["x"])
    # Score and Wald tests agree in large samples only.
    assert norm.isf(found.p / 2) == pytest.approx(abs(fitted.tvalues["x"]), rel=0.1)
    rows["part"] = (rows.x - np.average(rows.x, weights=rows.n)) * rows.n
    rows["part"] *= rows.y - np.average(rows.y, weights=rows.n)
    parts = rows.groupby("image").part.sum()
    apart = parts - parts.mean()
    df = 2 * 150 / (150 * (apart**4).sum() / (apart**2).sum() ** 2 - 1) - 1
    expected = abs(parts.sum()) / np.sqrt(150 * parts.var())
    assert found.p == pytest.approx(2 * t.sf(expected, df))
    assert found.images == 150


def made(count: int, *, before: float = 0.8, after: float = 0.8, start: int = 0) -> list[Made]:
    """An annotation an hour, of which the acceptance and the version change at `start`."""
    random = np.random.default_rng(4)
    return [
        Made(
            task,
            [
                kept((10 * n, 10))
                if random.random() < (before if task < start else after)
                else deleted((10 * n, 10))
                for n in range(8)
            ],
            model_version="small-1" if task < start else "small-2",
            updated_at=MOMENT + timedelta(hours=task),
        )
        for task in range(count)
    ]


def measured(annotations: list[Made]) -> Drift:
    return drift(columns_of(*annotations), PARAMETERS)


def test_the_change_has_its_date_and_the_acceptance_on_both_sides():
    found = measured(made(80, before=0.8, after=0.3, start=50))
    assert found.trend.p < 0.001
    assert found.trend.change < -0.3
    assert found.versions.p < 0.001
    assert found.versions.groups == 2
    assert found.change.p == 0.001
    assert abs(found.change.since - (MOMENT + timedelta(hours=50))) <= timedelta(hours=1)
    assert found.change.since.tzinfo is UTC
    assert found.change.before.value == pytest.approx(0.8, abs=0.08)
    assert found.change.after.value == pytest.approx(0.3, abs=0.08)
    assert found.change.before.images + found.change.after.images == 80
    assert to_json(found)["change"]["since"] == found.change.since.isoformat()


def test_without_a_change_there_is_no_date():
    found = measured(made(80))
    assert found.change.p > 0.05
    assert (found.change.since, found.change.before, found.change.after) == (None, None, None)
    assert to_json(found)["change"]["since"] is None
    assert found.versions.reason is not None


def test_the_order_of_annotations_in_the_log_makes_no_difference():
    annotations = made(40, before=0.8, after=0.4, start=20)
    forth, back = measured(annotations), measured(annotations[::-1])
    assert back.trend.p == pytest.approx(forth.trend.p)
    assert back.change == forth.change


def test_first_submissions_count():
    annotations = made(40, before=0.8, after=0.4, start=20)
    reviewed = [
        replace(each, first=each.verdicts, verdicts=[deleted((50, 50))]) for each in annotations
    ]
    assert measured(reviewed).trend.p == pytest.approx(measured(annotations).trend.p)


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ([], "0 of at least 5 images"),
        (made(4), "4 of at least 5 images"),
        ([replace(each, updated_at=MOMENT) for each in made(30)], "one time"),
        (made(30, after=1.0), "judged alike"),
    ],
)
def test_where_there_is_no_test_the_reason_stands_in_its_place(annotations, reason):
    found = measured(annotations)
    assert (found.trend.p, found.change.p) == (None, None)
    assert reason in found.trend.reason
    assert found.change.reason
