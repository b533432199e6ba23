"""Annotating in several orders, simulated."""

import csv

import numpy as np
import pytest
from small_weights import save_small_network
from test_studies_work_saved import case, drawn_data_set

from studies.__main__ import main
from studies.data_options import parse_names
from studies.naming.accuracy import PER_CLASS, POOLED
from studies.naming.order_gain import estimate, gain
from studies.naming.order_tables import order_page
from studies.naming.ordering import (
    RANDOM,
    RULES,
    Progress,
    Situation,
    measure_orders,
    most_corrections,
)


def rows(shares, *, rule=RANDOM, seconds=100.0):
    """One row for each (draw, annotated) with a share of a hundred landmarks found."""
    return [
        Progress(rule, draw, "birds", count, {0.05: found, 0.1: found}, 100, seconds)
        for (draw, count), found in shares.items()
    ]


# In random order each doubling of the images finds 10 points more.
RANDOM_ROWS = rows(
    {
        (0, 4): 39,
        (0, 8): 49,
        (0, 16): 59,
        (1, 4): 41,
        (1, 8): 51,
        (1, 16): 61,
    }
)


def test_an_interval_is_students():
    """1, 2, 3: the mean 2, plus or minus t(0.975, 2) = 4.303 times 1 / √3."""
    found = estimate(np.array([1.0, 2.0, 3.0]))
    assert found.mean == 2
    assert found.high - 2 == 2 - found.low == pytest.approx(4.3027 / np.sqrt(3), abs=1e-3)
    assert np.isnan(estimate(np.array([1.0])).low)


def test_an_order_that_is_a_doubling_ahead_saves_half_the_images():
    """10 points more in each draw, where a doubling is worth 10 points; and 20 % of the time."""
    better = {(row.draw, row.annotated): row.within[0.05] + 10 for row in RANDOM_ROWS}
    found = gain([*RANDOM_ROWS, *rows(better, rule="coverage", seconds=80.0)], "coverage", 0.05)
    assert found.draws == 2
    assert [each.mean for each in found.share] == [10, 10, 10]
    assert (found.mean_share.mean, found.mean_share.low) == (10, 10)
    assert found.fewer_images.mean == pytest.approx(50)
    assert found.seconds.mean == pytest.approx(-20)


def test_draws_are_compared_with_the_random_order_of_the_same_draw():
    """A rule with the first draw alone is 2 points ahead there, though behind the mean."""
    ours = rows({(0, 4): 41, (0, 8): 51, (0, 16): 61}, rule="coverage")
    found = gain([*RANDOM_ROWS, *ours], "coverage", 0.05)
    assert (found.draws, found.mean_share.mean) == (1, 2)
    assert np.isnan(found.mean_share.low)


def test_a_random_order_that_learns_nothing_has_no_worth_in_images():
    flat = rows({(0, 4): 50, (0, 8): 50, (1, 4): 50, (1, 8): 50})
    found = gain([*flat, *rows({(0, 4): 60, (0, 8): 60}, rule="coverage")], "coverage", 0.05)
    assert np.isnan(found.fewer_images.mean)


def test_a_page_has_every_order_with_its_draws():
    better = {(row.draw, row.annotated): row.within[0.05] + 10 for row in RANDOM_ROWS}
    page = order_page([*RANDOM_ROWS, *rows(better, rule="coverage", seconds=80.0)])
    assert "| random (2) | 40.0 | 50.0 | 60.0 | 50.0 |" in page
    assert "| coverage (2) | +10.0 [+10.0, +10.0] |" in page
    assert "| coverage | +50 % [+50, +50] | +50 % [+50, +50] | -20 % [-20, -20] |" in page


@pytest.mark.parametrize("setting", [POOLED, PER_CLASS])
def test_every_rule_begins_with_the_same_images_and_annotates_each_once(setting):
    cases = [case(seed, group=group) for seed, group in enumerate(["a", "b"] * 9)]
    found = list(
        measure_orders(cases, None, setting, (4, 5), dict.fromkeys(RULES, 2), names_sides=True)
    )
    groups = 2 if setting == PER_CLASS else 1
    assert len(found) == len(RULES) * 2 * 2 * groups
    assert {row.visible for row in found} == {3 * (3 if setting == PER_CLASS else 6)}
    for row in found:
        assert 0 < row.seconds < 5 * (3 * 3.4 + 0.6) + 1e-6
        assert row.within[0.05] <= row.within[0.1] <= row.visible


def test_counts_beyond_the_pool_are_left_out():
    cases = [case(seed) for seed in range(6)]
    found = list(measure_orders(cases, cases[:1], POOLED, (4, 9), {RANDOM: 1}, names_sides=True))
    assert [row.annotated for row in found] == [4]


def test_the_most_corrections_come_first():
    situation = Situation([], [], None, {})
    situation.__dict__["corrections"] = np.array([1.0, 3.0, 2.0])
    assert most_corrections(situation, 2) == [1, 2]


def test_the_command_fills_its_section(tmp_path, capsys):
    drawn_data_set(tmp_path / "drawn")
    weights = save_small_network(tmp_path / "net.safetensors")
    page = tmp_path / "learning.md"
    page.write_text("<!-- measured here -->\nold\n<!-- end of what was measured here -->\n")
    common = [
        *("annotation-order", "--data", str(tmp_path / "drawn"), "--weights", str(weights)),
        *("--cache", str(tmp_path / "cache"), "--draws", "2", "--costly-draws", "1"),
    ]
    table = tmp_path / "rows.csv"
    status = main(
        [
            *(*common, "--counts", "4,5", "--report", str(page), "--section", "here"),
            *("--csv", str(table)),
        ]
    )
    assert status == 0, capsys.readouterr().err
    text = page.read_text()
    assert "old" not in text
    assert "| coverage (2) |" in text
    assert "| most corrections (1) |" in text
    with table.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == (3 * 2 + 2 * 1) * 2  # orders, draws, counts
    assert main([*common, "--rules", "alphabetical"]) != 0
    assert "expected some of random" in capsys.readouterr().err
    assert main([*common, "--counts", "3,5"]) != 0
    assert "ascending numbers above 3" in capsys.readouterr().err
    assert main([*common, "--report", str(page), "--section", "elsewhere"]) != 0
    assert "<!-- measured elsewhere -->" in capsys.readouterr().err


def test_names_are_separated_by_commas():
    assert parse_names("Blue_Jay, Mallard,") == ("Blue_Jay", "Mallard")
