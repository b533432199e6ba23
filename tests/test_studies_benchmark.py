"""The benchmark's figures are what they say, on a network that takes no time."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from drawings.drawing import draw
from model.detector import Detector
from model.image import clip_box, to_square
from model.settings import POSTER
from studies import benchmark, benchmark_ways
from studies.__main__ import main
from studies.benchmark_ways import Outcome, Task


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in this process, at 64 px."""
    monkeypatch.setattr(benchmark, "in_process", benchmark_ways.run_task)
    monkeypatch.setattr(benchmark_ways, "SIDE", 64)
    monkeypatch.setattr(benchmark, "CAPTUM_BATCHES", (8, 32))


def test_the_command_writes_rows_and_a_report(quick: None, tmp_path: Path, capsys):
    rows_file, report_file = tmp_path / "rows.json", tmp_path / "report.md"
    report_file.write_text(
        "Before\n<!-- measured with random weights -->\nold\n"
        "<!-- end of what was measured with random weights -->\nAfter\n"
    )
    arguments = [
        "--arch", "small", "--rounds", "2", "--without", "onnxruntime", "--without", "openvino",
        "--json", str(rows_file), "--report", str(report_file),
    ]  # fmt: skip
    assert main(["benchmark", *arguments]) == 0
    rows = json.loads(rows_file.read_text())
    ways = [(row["method"].partition(",")[0], row["precision"]) for row in rows]
    assert ways == [
        ("captum", "float32"),
        ("dense", "float32"),
        ("incremental", "float32"),
        ("incremental", "bfloat16"),
    ]
    captum, dense, exact, rounded = rows
    assert captum["ratio_to_captum"] == 1 and captum["max_abs_diff"] == 0
    assert max(dense["max_abs_diff"], exact["max_abs_diff"]) < 1e-5 < rounded["max_abs_diff"]
    assert exact["same_points"] == 1 and exact["rank_correlation"] > 0.999
    assert exact["tera_operations"] < dense["tera_operations"]
    assert all(row["seconds"] > 0 and row["peak_mb"] > 0 for row in rows)
    written = report_file.read_text()
    assert written.startswith("Before\n") and written.endswith("\nAfter\n")
    assert "old" not in written and "| small | drawing | incremental | bfloat16 | 2 |" in written
    assert "| small | drawing | captum, batch" in capsys.readouterr().out


def test_weights_of_one_network_are_not_given_to_several(capsys):
    assert main(["benchmark", "--weights", "some.pth"]) == 2
    assert "one --arch with --weights" in capsys.readouterr().err


def test_a_report_without_marks_is_left_alone(tmp_path: Path, capsys):
    file = tmp_path / "report.md"
    file.write_text("mine")
    assert main(["benchmark", "--report", str(file)]) == 2
    assert "expected the lines" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_rounds_are_counted_from_one(capsys):
    assert main(["benchmark", "--rounds", "0"]) == 2
    assert "0 is not in the range x>=1" in capsys.readouterr().err


def test_a_process_that_fails_is_named_with_what_it_said():
    with pytest.raises(ChildProcessError, match="no-such-network"):
        benchmark.in_process(Task(arch="no-such-network", way="dense"))


def test_each_process_gives_back_what_it_measured():
    outcome = benchmark.in_process(Task(arch="small", way="peak"))
    assert outcome.tera_operations > 0


def test_rank_correlation_is_spearmans():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(9, 9))
    others = values + generator.normal(size=(9, 9))
    expected = spearmanr(values.ravel(), others.ravel()).statistic
    assert benchmark.rank_correlation(others, values) == pytest.approx(expected)


def test_the_ratio_is_the_median_of_each_round_against_its_own():
    slow = [Outcome(10), Outcome(40), Outcome(12)]
    fast = [Outcome(1), Outcome(8), Outcome(2)]
    assert benchmark.ratio(slow, fast) == 6


def test_a_way_that_ran_once_counts_in_every_round():
    assert benchmark.ratio([Outcome(12)], [Outcome(2), Outcome(4), Outcome(3)]) == 4


def test_what_is_slow_runs_in_the_first_round_alone(quick: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(benchmark, "SLOW", 0)
    others = ["captum", "small:incremental", "onnxruntime", "openvino"]
    (dense,) = benchmark.compare(Task(arch="small", way="dense"), 2, leave_out=others)
    assert (dense.method, dense.rounds) == ("dense", 1)


def test_points_are_the_same_where_the_pixels_are():
    points = [[row, row] for row in range(30)]
    all_but_two = [[1, 0], [0, 1], *points[:18]]
    assert benchmark.same_points(Outcome(1, points=points), Outcome(1, points=points)) == 1
    assert benchmark.same_points(Outcome(1, points=all_but_two), Outcome(1, points=points)) == 0.9


def test_points_are_those_of_the_detector(quick: None):
    case = benchmark_ways.Case(Task(arch="small", way="dense"))
    picture = draw(0).image
    height, width = picture.shape[:2]
    square, _ = to_square(picture, clip_box(None, width, height), 64, "squash")
    settings = replace(POSTER, keep=1.0, subpixel=False)
    expected = Detector(case.classifier, settings).detect(square).keypoints
    found = case.points(benchmark_ways.dense(case).run())
    assert len(expected) > 10
    assert found == [[round(point.y), round(point.x)] for point in expected]
