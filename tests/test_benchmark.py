"""The benchmark's figures are what they say, on a network that takes no time."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from model import benchmark, benchmark_ways
from model.benchmark_ways import Outcome, Task


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in this process, at 64 px."""
    monkeypatch.setattr(benchmark, "in_process", benchmark_ways.run_task)
    for module in (benchmark, benchmark_ways):
        monkeypatch.setattr(module, "SIDE", 64)
    monkeypatch.setattr(benchmark, "CAPTUM_BATCHES", (8, 32))


def command(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return parser.parse_args(given)


def test_the_command_writes_rows_and_a_report(quick: None, tmp_path: Path, capsys):
    rows_file, report_file = tmp_path / "rows.json", tmp_path / "report.md"
    report_file.write_text(f"Before\n{benchmark.BEGIN}\nold\n{benchmark.END}\nAfter\n")
    arguments = command(
        "--arch", "small", "--rounds", "2", "--without", "onnxruntime", "--without", "openvino",
        "--json", str(rows_file), "--report", str(report_file),
    )  # fmt: skip
    assert benchmark.run(arguments) == 0
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
    assert "old" not in written and "| small | incremental | bfloat16 |" in written
    assert "| small | captum, batch" in capsys.readouterr().out


def test_weights_of_one_network_are_not_given_to_several():
    with pytest.raises(ValueError, match="one --arch with --weights"):
        benchmark.run(command("--weights", "some.pth"))


def test_a_report_without_marks_is_left_alone(tmp_path: Path):
    file = tmp_path / "report.md"
    file.write_text("mine")
    with pytest.raises(ValueError, match="expected the lines"):
        benchmark.put_into(file, "measured")
    assert file.read_text() == "mine"


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


def test_points_are_the_same_where_the_peaks_are():
    falls = np.zeros((27, 27))
    falls[3, 4], falls[20, 10] = 1, 0.5
    moved = np.zeros((27, 27))
    moved[3, 4], moved[10, 20] = 1, 0.5
    assert benchmark.same_points(falls, falls) == 1
    assert 0 < benchmark.same_points(moved, falls) < 1
