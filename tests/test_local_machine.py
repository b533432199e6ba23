"""How many workers suit a machine."""

import os
from pathlib import Path

import pytest

from backend.local.machine import detection_workers_for, memory, processor_cores

GIB = 2**30


@pytest.mark.parametrize(
    ("cores", "gib", "workers"),
    [(1, 64, 1), (2, 24, 2), (4, 16, 4), (64, 512, 4), (4, 5, 2), (4, 1, 1)],
)
def test_there_is_a_worker_for_each_core_that_memory_suffices_for(
    cores: int, gib: int, workers: int
) -> None:
    assert detection_workers_for(cores, gib * GIB) == workers


def test_the_limits_of_a_container_count(tmp_path: Path) -> None:
    limit = tmp_path / "limit"
    limit.write_text("50000 100000\n")
    assert processor_cores(limit) == 1
    limit.write_text(f"{GIB}\n")
    assert memory(limit) == GIB


def test_without_a_limit_the_machine_counts(tmp_path: Path) -> None:
    limit = tmp_path / "limit"
    for text in ("max 100000\n", "max\n"):
        limit.write_text(text)
        assert processor_cores(limit) == processor_cores(tmp_path / "none")
        assert memory(limit) == memory(tmp_path / "none")
    assert processor_cores(tmp_path / "none") == len(os.sched_getaffinity(0))
    assert memory(tmp_path / "none") > GIB // 4
