"""The measurement by number of workers: its tables, from figures that are known, and resumption."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import scaling_run
from click.testing import CliRunner
from scaling_run import CPU, GPU, Measured, Setup, as_text, gain_rows, main, missing, plan

LIGHT = Setup("squeezenet1_1", "default", CPU, "PostgreSQL")
SPENT = {"workers": 140.04, "web": 0.4, "Redis": 1.1, "PostgreSQL": 9.7, "stand-in": 2.2}
ONE = Measured("2 cores", LIGHT, 1, 10.0, 8.0, SPENT, 0.02)
TWO = Measured("2 cores", LIGHT, 2, 20.0, 15.0, SPENT, 0.04)
ON_GPU = Measured("2 cores", replace(LIGHT, device=GPU), 1, 25.0, 16.0, SPENT, 0.05, (0.3, 5835.0))


def test_each_number_of_workers_is_compared_with_its_bare_loops_and_with_one_worker() -> None:
    assert as_text([TWO, ONE]).splitlines()[4:] == [
        "| squeezenet1_1, default | processor | PostgreSQL | 1 | 10 | 8.0 | 0.80 | 1.00 "
        "| 140.0 | 0.4 | 1.1 | 9.7 | 0.02 | – |",
        "| squeezenet1_1, default | processor | PostgreSQL | 2 | 20 | 15.0 | 0.75 | 1.88 "
        "| 140.0 | 0.4 | 1.1 | 9.7 | 0.04 | – |",
    ]


def test_bare_loops_that_were_measured_alone_have_no_figures_of_a_service() -> None:
    row = as_text([Measured("2 cores", LIGHT, 1, 0.0621)]).splitlines()[-1]
    assert row.endswith("| 1 | 0.0621 |" + " – |" * 9)


def test_machines_are_never_compared_with_each_other() -> None:
    words = as_text([ONE, replace(TWO, machine="16 cores"), replace(ON_GPU, machine="16 cores")])
    assert words.index("On 2 cores:") < words.index("On 16 cores:")
    assert "1.88" not in words
    assert "times as fast" not in words


def test_the_gain_of_a_gpu_is_that_of_equal_set_ups() -> None:
    other = replace(ON_GPU, setup=replace(ON_GPU.setup, arch="vgg19"))
    assert gain_rows([ONE, TWO, ON_GPU, other])[2:] == [
        "| squeezenet1_1, default | 10 | 25 | 2.5 | 2.0 | 30% | 5835 | 3 |"
    ]
    assert gain_rows([ONE, TWO]) == []


def test_a_measurement_goes_on_where_it_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling_run, "machine", lambda: "2 cores")
    monkeypatch.setattr(scaling_run, "database_here", lambda: "PostgreSQL")
    planned = [(LIGHT, 1, False), (LIGHT, 2, False), (replace(LIGHT, arch="vgg19"), 1, True)]
    monkeypatch.setattr(scaling_run, "plan", lambda *_: iter(planned))
    assert list(missing([], CPU)) == planned[:2]
    assert list(missing([ONE], CPU)) == planned[1:2]
    assert list(missing([replace(ONE, machine="16 cores")], CPU)) == planned[:2]
    assert list(missing([ONE, TWO], GPU)) == planned[2:]
    assert list(missing([ONE, TWO], "all")) == planned[2:]


def test_the_processor_is_measured_with_as_many_workers_as_its_cores_allow() -> None:
    assert [number for _, number, _ in plan(2, False, "SQLite")] == [1, 2]
    assert [number for _, number, _ in plan(16, False, "PostgreSQL")] == [1, 2, 4, 8, 12, 12]
    compared = [setup for setup, _, only_bare in plan(16, True, "PostgreSQL") if only_bare]
    assert {(each.arch, each.preset) for each in compared} == {
        ("vgg19", "default"),
        ("vgg19", "poster"),
        ("squeezenet1_1", "poster"),
    }


def test_kept_results_are_printed_without_measuring(tmp_path: Path) -> None:
    kept, report = tmp_path / "results.jsonl", tmp_path / "report.md"
    kept.write_text("".join(json.dumps(asdict(each)) + "\n" for each in (ONE, TWO, ON_GPU)))
    section = scaling_run.SECTION
    report.write_text(f"<!-- measured {section} -->\n<!-- end of what was measured {section} -->\n")
    options = ["--results", str(kept), "--only-print", "--report", str(report)]
    done = CliRunner().invoke(main, options, catch_exceptions=False)
    assert as_text([ONE, TWO, ON_GPU]) in done.output
    assert as_text([ONE, TWO, ON_GPU]) in report.read_text()
