"""Coverage of every kind of interval in a few worlds of known truth, with generous bounds."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studies.__main__ import main
from studies.agreement_coverage import RECORDED, SUBJECTS
from studies.coverage.counting import Coverage, cover
from studies.coverage.figure import Figure
from studies.coverage.shares import EXTREME
from studies.coverage.world import World

WORLDS = 300  # of each seed
SEEDS = (1, 2, 3, 4)
FIGURES = [figure for figures in SUBJECTS.values() for figure in figures]
# Where each image has 12 suggestions, looking at them cannot be told from opening the image.
[LOOK] = [figure for figure in FIGURES if figure.name == "cost of an action: look"]
# These take ten times as long.
SLOW = [*SUBJECTS["labels"], *SUBJECTS["drift"]]
QUICK = [each for each in FIGURES if each not in SLOW and each not in (LOOK, EXTREME)]
PAGE = Path(__file__).parent.parent / "docs" / "agreement-coverage.md"


def pooled(figure: Figure, images: int, correlation: float, worlds: int) -> Coverage:
    """The coverage in the worlds of all seeds together."""
    found = [cover(figure, "12", correlation, images, worlds, seed=seed) for seed in SEEDS]
    names = ("given", "covered")
    return replace(
        found[0],
        **{name: float(np.mean([getattr(each, name) for each in found])) for name in names},
    )


def error_of(share: float, worlds: float) -> float:
    """Three standard errors of a share of so many worlds."""
    return 3 * math.sqrt(share * (1 - share) / worlds)


@pytest.mark.parametrize(
    ("figure", "images", "worlds"),
    [
        (figure, images, worlds)
        for figures, worlds in ((QUICK, WORLDS), (SLOW, 75))
        for figure in figures
        for images in (10, 50)
        if figure.bound and images >= figure.fewest
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_every_kind_of_interval_holds_the_truth_about_as_often_as_it_says(figure, images, worlds):
    """The bounds are 92 and 98 %, and what so few worlds may miss them by."""
    found = pooled(figure, images, 0.2, worlds)
    given = worlds * len(SEEDS) * found.given
    assert found.given > 0.75
    assert found.covered >= 0.92 - error_of(0.92, given)
    assert found.covered <= 0.98 + error_of(0.98, given)


def test_looking_costs_what_its_interval_says_where_the_number_of_suggestions_varies():
    assert cover(LOOK, "12", 0.2, 50, 3, seed=1).given == 0
    found = cover(LOOK, "1 to 23", 0.2, 50, WORLDS, seed=1)
    assert found.given > 0.95
    assert found.covered == pytest.approx(0.95, abs=0.03 + 3 * found.error)


@pytest.mark.parametrize("correlation", [0.0, 0.4])
@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_the_truth_of_a_world_is_the_figure_of_very_many_images(figure, correlation):
    images = 2000 if figure in SLOW else 20_000
    drawn = figure.draw(World(np.random.default_rng(3), images, correlation, "1 to 23"))
    found = drawn.estimate
    if found is not None:
        # Costs are known less closely, even from so many images.
        near = (found.high - found.low) / 2 if figure.name.startswith("cost of") else 0.0
        expected = pytest.approx(figure.truth(correlation), abs=0.03 + near, rel=0.03)
        assert near < 0.2 and found.value == expected


def test_figures_have_names_of_their_own():
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)


def marked(name: str, text: str) -> str:
    return f"<!-- measured {name} -->{text}<!-- end of what was measured {name} -->"


def test_the_command_prints_the_tables_and_writes_them_into_a_page(tmp_path: Path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"Before\n{marked('times', 'old')}\n{marked(RECORDED, 'old')}\nAfter\n")
    arguments = ["--worlds", "3", "--recorded", "1", "--only", "times", "--only", RECORDED]
    assert main(["agreement-coverage", *arguments, "--report", str(page)]) == 0
    printed, written = capsys.readouterr().out, page.read_text()
    for line in (
        "| median of lognormal seconds | 12 | 0.4 |",
        "1 worlds of 20 images with ICC 0.2, as annotations through the recorder",
    ):
        assert line in printed and line in written
    assert "share 0.3" not in printed
    assert written.startswith("Before\n") and written.endswith("After\n") and "old" not in written


def test_a_page_without_a_place_for_the_tables_is_refused_before_any_work(tmp_path: Path, capsys):
    page = tmp_path / "page.md"
    page.write_text(marked("times", "old"))
    arguments = ["--only", "times", "--only", "shares", "--report", str(page)]
    assert main(["agreement-coverage", *arguments]) == 2
    assert "<!-- measured shares -->" in capsys.readouterr().err
    assert page.read_text() == marked("times", "old")


def test_every_table_of_the_document_has_the_figures_that_are_measured_today():
    text = PAGE.read_text()
    for name, figures in SUBJECTS.items():
        part = text.partition(f"<!-- measured {name} -->")[2].partition("<!-- end of what")[0]
        assert "| figure | points | ICC |" in part
        rows = set(re.findall(r"^\| ([^|]+) \| 12 \| 0 \|", part, re.MULTILINE))
        assert rows == {figure.name for figure in figures}
