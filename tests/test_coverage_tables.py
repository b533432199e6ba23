"""Coverage as Markdown."""

import math

from studies.coverage.costs import FIGURES as COSTS
from studies.coverage.counting import Coverage
from studies.coverage.shares import EXTREME
from studies.coverage.shares import FIGURES as SHARES
from studies.coverage.tables import report


def test_coverage_outside_the_bounds_is_listed():
    bad = Coverage(SHARES[1], "12", 0.4, 50, 1.0, 0.6, 0.01, 0.1)
    text = report([bad], 9)
    assert "Outside 92 to 98 %, by more than twice its error:" in text
    assert "- share 0.5, 12 points, ICC 0.4, 50 images: 60.0 ± 1.0" in text


def test_coverage_that_is_not_promised_is_shown_and_not_listed():
    few = Coverage(EXTREME, "12", 0.4, 10, 0.1, 0.6, 0.01, 0.1)
    text = report([few], 9)
    assert "No coverage that is promised is outside 92 to 98 %" in text
    assert "| share 0.95 | 12 | 0.4 | 60.0 ± 1.0; 0.1 (10 % given) |" in text


def test_a_row_has_a_column_for_each_number_of_images_and_says_where_there_is_no_interval():
    rows = [
        Coverage(COSTS[0], "12", 0.2, 20, 0.0, math.nan, math.nan),
        Coverage(COSTS[0], "12", 0.2, 50, 1.0, 0.95, 0.005, 1.25, 0.9, 0.5),
    ]
    text = report(rows, 9)
    assert "| figure | points | ICC | 20 images | 50 images |" in text
    assert "| cost of an action: look | 12 | 0.2 | none | 95.0 ± 0.5; 1.25 |" in text
    assert (
        "| cost of an action: look | 50 images | 95.0 to 95.0 | 90.0 to 90.0 | 50.0 to 50.0 |"
        in text
    )
