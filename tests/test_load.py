"""The load of `load_run`, in a short form, with real processes."""

from pathlib import Path

from load_run import Filling, Latencies, Load, Opened, as_report, measure_filling, run_load
from small_weights import save_small_network


def test_under_load_opened_tasks_come_first_and_nothing_is_lost(tmp_path: Path) -> None:
    environment = {
        "MODEL_WEIGHTS": str(save_small_network(tmp_path / "small.safetensors")),
        "DETECTOR_INPUT_SIZE": "32",
        "DETECTOR_STRIDE": "16",
        "DETECTION_WORKERS": "2",
        "TRAINING_WORKERS": "0",
        "OMP_NUM_THREADS": "1",
        "PREDICT_WAIT_ONE": "60",
        "PREDICT_WAIT_BATCH": "0",
    }
    found = run_load(
        tmp_path / "data",
        environment,
        tasks=400,
        annotators=6,
        rate=20,
        seconds=5,
        images=400,
        image_seconds=0.15,
    )
    requests = [
        found.opened.latencies,
        found.webhooks,
        found.health_beside_batch,
        found.health_beside_opened,
        found.health_beside_webhooks,
    ]
    assert [each.failures for each in requests] == [0] * len(requests)
    assert len(found.opened.latencies.seconds) > 0
    assert found.opened.empty == 0
    assert found.opened.behind > 0, "the batch was done before the last task was opened"
    assert found.images >= 400
    assert found.doubles == 0
    assert found.recorded == found.events == 100
    assert {"web process", "detection worker", "Redis"} <= set(found.memory)


def test_the_report_has_a_row_for_each_kind_of_request() -> None:
    health = Latencies("/health beside the batch", [0.001, 0.003])
    load = Load(
        tasks=10_000,
        batch_seconds=3.25,
        opened=Opened(Latencies("an annotator opens a task", [0.25], failures=1), 0, 9000),
        webhooks=Latencies("/webhook", [0.002] * 100),
        rate=200,
        health_beside_batch=health,
        health_beside_opened=health,
        health_beside_webhooks=health,
        memory={"Redis": (10.0, 12.4)},
        images=1000,
        per_second=4.56,
        doubles=0,
        events=100,
        recorded=100,
    )
    lines = as_report(load, Filling(100_000, 20, 0.5, 9.96)).splitlines()
    assert lines[0].startswith("10,000 tasks in one /predict were answered in 3.2 s. Then 1 tasks")
    assert "| an annotator opens a task | 1 | 1 | 250 | 250 | 250 | 250 |" in lines
    assert "| /health beside the batch | 2 | 0 | 2 | 3 | 3 | 3 |" in lines
    assert "| Redis | 10 | 12 |" in lines
    assert "takes 0.5 ms of one processor core while it is full, and 10.0 ms after" in lines[-1]


def test_the_cost_of_filling_is_measured(tmp_path: Path) -> None:
    found = measure_filling(tmp_path, 40, 4, repeats=3)
    assert 0 < found.full < found.lost
