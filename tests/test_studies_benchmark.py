"""The benchmark's command, on a network that takes no time."""

import json
from pathlib import Path

import pytest

from studies import benchmark, benchmark_comparison, benchmark_methods
from studies.__main__ import main


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in this process, at 64 px."""
    for module in (benchmark, benchmark_comparison):
        monkeypatch.setattr(module, "in_process", benchmark_methods.run_task)
    monkeypatch.setattr(benchmark_methods, "SIDE", 64)
    monkeypatch.setattr(benchmark_comparison, "CAPTUM_BATCHES", (8, 32))


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
    methods = [(row["method"].partition(",")[0], row["precision"]) for row in rows]
    assert methods == [
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
