"""The commands of the README against a small CVAT, with a backend that serves in its own processes.

No real CVAT runs here: it needs Docker, a PostgreSQL, a ClickHouse and more.
"""

import subprocess
import sys
from pathlib import Path

import requests
from cvat_fake import BEAK, TAIL, TASK, CvatFake, cvat_fake
from cvat_scene import environment, pictures
from serving import ROOT, Serving, eventually, serving


def run(backend: Serving, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        env=backend.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def correct(fake: CvatFake, frame: int) -> None:
    """Leave one point with each label."""
    for shape in fake.shapes_on(frame)[2:]:
        fake.delete(shape["id"])
    for shape, label in zip(fake.shapes_on(frame), (BEAK, TAIL), strict=True):
        fake.relabel(shape["id"], label)


def test_a_task_gets_suggestions_and_its_corrections_are_reported_and_learnt(
    tmp_path: Path,
) -> None:
    with cvat_fake(pictures(5)) as fake:
        fake.jobs[1]["stop"] = 2
        fake.add_job(2, 3, 4)
        tmp_path.joinpath("weights").mkdir()
        variables = environment(fake.url, tmp_path / "weights") | {
            "DATA_DIR": str(tmp_path / "data")
        }
        with serving(tmp_path / "data", variables) as backend:
            assert eventually(backend.health), backend.words()
            assert "5 × got suggestions" in run(backend, "cvat", "push", "--task", str(TASK))
            for frame in range(3):
                correct(fake, frame)
            fake.finish(1)
            assert "3 frames of 1 finished jobs" in run(
                backend, "cvat", "pull", "--task", str(TASK)
            )
            report = requests.get(f"{backend.url}/agreement", timeout=60).json()
            assert report["overall"]["annotations"] == 3
            before = {each["id"] for each in fake.shapes[2]}

            def is_replaced() -> bool:  # as soon as the corrections are learnt
                said = run(backend, "cvat", "push", "--task", str(TASK))
                return "2 × had suggestions that nobody had touched" in said

            assert eventually(is_replaced), backend.words()
            assert not before & {each["id"] for each in fake.shapes[2]}
        assert fake.violations == []
