"""The memory that `memory_run` watches, in a short form, with real processes."""

from pathlib import Path

from memory_run import Memory, as_table, run_memory
from small_weights import save_small_network


def test_the_memory_of_every_process_is_watched_while_images_are_made(tmp_path: Path) -> None:
    environment = {
        "MODEL_WEIGHTS": str(save_small_network(tmp_path / "small.safetensors")),
        "DETECTOR_INPUT_SIZE": "32",
        "DETECTOR_STRIDE": "16",
        "TRAINING_WORKERS": "0",
        "OMP_NUM_THREADS": "1",
    }
    found = run_memory(tmp_path / "data", environment, (10, 40))
    assert found.doubles == 0
    assert list(found.largest) == [10, 40]
    for largest in found.largest.values():
        assert {"web process", "detection worker", "decoding process", "Redis"} <= set(largest)
        assert min(largest.values()) > 1


def test_the_table_has_a_row_for_each_process() -> None:
    found = Memory(61.2, {10: {"Redis": 4.2}, 1000: {"Redis": 5.6, "`serve`": 90.0}}, 0)
    assert as_table(found).splitlines() == [
        "1,000 images in 61 s; 0 tasks have two suggestions.",
        "",
        "| process | MB after 10 | MB after 1,000 |",
        "|---|---|---|",
        "| Redis | 4 | 6 |",
        "| `serve` | 0 | 90 |",
    ]
