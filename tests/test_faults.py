"""Some faults of `fault_run`, in a short form, with real processes."""

from pathlib import Path

import fault_run
import pytest
from fault_run import FAULTS, as_table, run_fault

SHORT = [
    "Label Studio away for {0:.0f} s",
    "images answered with 401 for {1:.0f} s",
    "the queue's list lost, its jobs kept",
]


@pytest.mark.parametrize("name", SHORT)
def test_after_a_fault_everything_arrives_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault_run, "GIVES_UP_SECONDS", 120.0)
    found = run_fault(name, "sqlite", tasks=30, annotations=10, seconds=9, folder=tmp_path)
    assert (found.predictions, found.doubles, found.verdict_sets) == (30, 0, 10)
    assert found.seconds is not None
    assert found.tracebacks == 0


def test_the_table_has_a_row_for_each_outcome() -> None:
    outcome = fault_run.Outcome("Redis flushed", "sqlite", 30, 0, 9, 1.25, None, 100, 0)
    assert as_table([outcome], 30, 10).splitlines()[-1] == (
        "| Redis flushed | sqlite | 30 | 0 | 9 | 1.2 | never | 100 | 0 |"
    )
    assert len(FAULTS) >= 17
