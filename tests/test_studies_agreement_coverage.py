"""Coverage of the intervals in a few worlds of known truth, with generous bounds."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studies import agreement_coverage as study
from studies.__main__ import main
from studies.agreement_coverage import FIGURES, Figure, World, constant, cover, share_of

WORLDS = 300  # of each seed
SEEDS = (1, 2, 3, 4)
# Where each image has 12 suggestions, looking at them cannot be told from opening the image.
LOOK = "cost of an action: look"
BOUND = [figure for figure in FIGURES if figure.bound and figure.name not in ("share 0.95", LOOK)]


def pooled(figure: Figure, images: int, correlation: float) -> study.Coverage:
    """The coverage in the worlds of all seeds together."""
    found = [cover(figure, "12", correlation, images, WORLDS, seed=seed) for seed in SEEDS]
    names = ("given", "covered", "textbook", "unclustered")
    means = {name: float(np.mean([getattr(each, name) for each in found])) for name in names}
    return replace(found[0], **means)


def error_of(share: float, given: float = 1.0) -> float:
    """Three standard errors of a share of the worlds of all seeds that give an interval."""
    return 3 * math.sqrt(share * (1 - share) / (WORLDS * len(SEEDS) * given))


@pytest.mark.parametrize(
    ("figure", "images"),
    [(figure, images) for figure in BOUND for images in (10, 50) if images >= figure.fewest],
    ids=lambda each: getattr(each, "name", each),
)
def test_every_kind_of_interval_holds_the_truth_about_as_often_as_it_says(figure, images):
    """The bounds are 92 and 98 %, and what so few worlds may miss them by."""
    found = pooled(figure, images, 0.2)
    assert found.given > 0.75
    assert found.covered >= 0.92 - error_of(0.92, found.given)
    assert found.covered <= 0.98 + error_of(0.98, found.given)


def test_looking_costs_what_its_interval_says_where_the_number_of_suggestions_varies():
    [look] = [figure for figure in FIGURES if figure.name == LOOK]
    assert cover(look, "12", 0.2, 50, 3, seed=1).given == 0
    found = cover(look, "1 to 23", 0.2, 50, WORLDS, seed=1)
    assert found.given > 0.95
    assert found.covered == pytest.approx(0.95, abs=0.03 + 3 * found.error)


def test_an_extreme_share_in_20_images_is_covered_where_the_textbooks_interval_is_not():
    found = pooled(Figure("", constant(0.95), share_of(0.95)), 20, 0.4)
    assert found.textbook < 0.92 - error_of(0.92)
    assert found.covered >= 0.92 - error_of(0.92)
    assert found.covered <= 0.98 + error_of(0.98)


def test_an_interval_that_ignores_images_holds_the_truth_far_less_often():
    found = pooled(Figure("", constant(0.5), share_of(0.5)), 50, 0.4)
    assert found.unclustered < 0.7


@pytest.mark.parametrize("correlation", [0.0, 0.4])
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_the_truth_of_a_world_is_the_figure_of_very_many_images(figure, correlation):
    drawn = figure.draw(World(np.random.default_rng(3), 20_000, correlation, "1 to 23"))
    found = drawn.estimate
    if found is not None:
        # Costs are known less closely, even from so many images.
        near = (found.high - found.low) / 2 if figure.name.startswith("cost of") else 0.0
        expected = pytest.approx(figure.truth(correlation), abs=0.03 + near, rel=0.03)
        assert near < 0.2 and found.value == expected


def test_a_world_has_the_correlation_that_it_says():
    won, tried = World(np.random.default_rng(1), 20_000, 0.3, "12").successes(0.6)
    chances = won * (won - 1) / (tried * (tried - 1))
    assert (chances.mean() - 0.36) / 0.24 == pytest.approx(0.3, abs=0.02)
    assert (tried == 12).all()
    points = World(np.random.default_rng(1), 20_000, 0.3, "1 to 23").points()
    assert (points.min(), points.max()) == (1, 23)
    assert points.mean() == pytest.approx(12, abs=0.2)


def test_the_command_prints_the_tables_and_writes_them_into_a_page(tmp_path: Path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"Before\n{study.BEGIN}\nold\n{study.END}\nAfter\n")
    arguments = ["--worlds", "3", "--recorded", "1", "--only", "share 0.3"]
    assert main(["agreement-coverage", *arguments, "--report", str(page)]) == 0
    printed, written = capsys.readouterr().out, page.read_text()
    assert "| share 0.3 | 12 | 0.4 |" in printed
    assert "1 worlds of 20 images with ICC 0.2, as annotations through the recorder" in printed
    assert printed.strip() in written
    assert written.startswith("Before\n") and written.endswith("After\n") and "old" not in written


def test_a_page_without_a_place_for_the_tables_and_an_unknown_figure_are_refused(
    tmp_path: Path, capsys
):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    arguments = ["--worlds", "2", "--only", "share 0.3", "--report", str(page)]
    assert main(["agreement-coverage", *arguments]) == 2
    assert "add them" in capsys.readouterr().err
    assert main(["agreement-coverage", "--only", "nonsense"]) == 2
    assert "correct --only" in capsys.readouterr().err
    assert page.read_text() == "nothing"


def test_coverage_outside_the_bounds_is_listed():
    bad = study.Coverage("share 0.5", "12", 0.4, 50, 1.0, 0.6, 0.01, 0.1, math.nan, math.nan)
    assert "- share 0.5, 12 points, ICC 0.4, 50 images: 60.0 ± 1.0" in study.report([bad], [50], 9)
    few = study.Coverage("share 0.95", "12", 0.4, 10, 0.1, 0.6, 0.01, 0.1, math.nan, math.nan)
    assert "No coverage is outside" in study.report([few], [10], 9)
