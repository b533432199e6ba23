"""Some faults of `fault_run`, in a short form, with real processes."""

from pathlib import Path

import fault_run
import pytest
from conftest import postgres_program
from fault_run import FAULTS, as_table, run_fault, with_rows

SHORT = [
    ("Label Studio away for {0:.0f} s", "sqlite"),
    ("images answered with 401 for {1:.0f} s", "sqlite"),
    ("the queue's list lost, its jobs kept", "sqlite"),
    ("200 clients with half a request for {1:.0f} s", "sqlite"),
    ("PostgreSQL restarted", "postgresql"),
    ("the database locked for {1:.0f} s", "postgresql"),
]


@pytest.mark.parametrize(("name", "kind"), SHORT)
def test_after_a_fault_everything_arrives_once(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "postgresql":
        postgres_program("postgres")  # else the test skips
    monkeypatch.setattr(fault_run, "GIVES_UP_SECONDS", 120.0)
    found = run_fault(name, kind, tasks=30, annotations=10, seconds=9, folder=tmp_path)
    assert (found.predictions, found.doubles, found.verdict_sets) == (30, 0, 10)
    assert found.seconds is not None
    assert found.tracebacks == 0


def test_the_table_has_a_row_for_each_outcome() -> None:
    outcome = fault_run.Outcome("Redis flushed", "sqlite", 30, 0, 9, 1.25, None, 100, 0)
    assert as_table([outcome], 30, 10).splitlines()[-1] == (
        "| Redis flushed | sqlite | 30 | 0 | 9 | 1.2 | never | 100 | 0 |"
    )
    assert len(FAULTS) >= 28


def test_a_fault_that_is_measured_again_takes_the_place_of_its_row() -> None:
    table = as_table([outcome_of("a"), outcome_of("b"), outcome_of("c")], 30, 10)
    again = as_table([outcome_of("b", seconds=9.0), outcome_of("d")], 30, 10)
    found = with_rows(table, again).splitlines()[2:]
    assert [line[2] for line in found] == ["a", "b", "c", "d"]
    assert [" 9 " in line for line in found] == [False, True, False, False]
    with pytest.raises(ValueError, match="expected rows under"):
        with_rows(table, as_table([outcome_of("b")], 500, 200))


def outcome_of(fault: str, seconds: float = 20.0) -> fault_run.Outcome:
    return fault_run.Outcome(fault, "sqlite", 30, 0, 10, 1.25, seconds, 100, 0)
