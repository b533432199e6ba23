"""The measurement of throughput: its words and its table, from figures that are known."""

import os
from pathlib import Path

import pytest
import throughput_run
from small_weights import save_small_network
from throughput_run import (
    BARE,
    ONE,
    TWO,
    TWO_BARE,
    Speed,
    as_table,
    batches_in_words,
    own_memory,
    ratios_in_words,
    run_bare,
    run_two_bare,
)

FOUND = {
    BARE: [Speed(10.0, 0.1), Speed(8.0, 0.125)],
    ONE: [Speed(8.0, 0.11, 300.0), Speed(8.0, 0.135, 320.0)],
    TWO: [Speed(16.0, 0.11, 600.0), Speed(12.0, 0.135, 620.0)],
    TWO_BARE: [Speed(19.0, 0.1), Speed(16.0, 0.125)],
}


def test_the_table_compares_each_set_up_with_the_bare_loop_of_its_round() -> None:
    assert as_table(FOUND).splitlines()[2:] == [
        f"| {BARE} | 9.00 | 1.00 | 112 | – |",
        f"| {ONE} | 8.00 | 0.90 | 122 | 310 |",
        f"| {TWO} | 14.00 | 1.55 | 122 | 610 |",
        f"| {TWO_BARE} | 17.50 | 1.95 | 112 | – |",
    ]


def test_the_ratios_are_medians_of_the_rounds() -> None:
    words = ratios_in_words(FOUND)
    assert "12.5% longer an image than the bare loop (rounds: 25.0%, 0.0%)" in words
    assert "10 ms more processor time an image than the bare loop." in words
    assert "Two workers make 1.75 times as many as one (rounds: 2.00, 1.50)" in words
    assert "two bare loops make 1.95 times as many as one" in words


def test_a_batch_is_compared_with_one_image_alone() -> None:
    assert batches_in_words({1: 0.02, 4: 0.016}).endswith("one alone = 1: 1: 1.00, 4: 1.25.")


def test_the_bare_loop_runs_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throughput_run, "SIZE", (64, 48))
    monkeypatch.setattr(throughput_run, "PICTURES", 2)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, content in enumerate(throughput_run.draw_pictures()):
        (folder / f"{number}.jpg").write_bytes(content)
    weights = save_small_network(tmp_path / "small.safetensors", input_size=64)
    for run in (run_bare(weights, folder, 3, 1), run_two_bare(weights, folder, 3)):
        assert run.rate > 0
        assert run.processor > 0


def test_the_memory_of_a_process_is_what_it_shares_with_nobody() -> None:
    before = own_memory(os.getpid())
    taken = bytearray(os.urandom(1 << 20)) * 64
    assert own_memory(os.getpid()) > before + 32
    del taken
