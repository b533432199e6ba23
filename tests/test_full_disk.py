"""A disk that is really full: a small file system of its own, with the database on it."""

import errno
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_run import Deployment, wait_for

SIZE = "24m"
TASKS, ANNOTATIONS = 100, 15


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no program mount on this machine")
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    (folder / "data").mkdir()
    (folder / "data" / "serve.log").symlink_to(tmp_path / "serve.log")  # to be read afterwards
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Write a file until nothing fits any more."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            for size in (1 << 16, 1 << 12, 1):
                while True:
                    try:
                        file.write(bytes(size))
                    except OSError as error:
                        assert error.errno == errno.ENOSPC
                        break
        finally:
            assert ballast.stat().st_size > 0
    return ballast


def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_space(small_disk: Path):
    with Deployment(small_disk, TASKS, ANNOTATIONS, "sqlite") as deployment:
        assert deployment.serve is not None
        deployment.fake.image_seconds = 0.5  # the disk is to be full before everything is done
        assert wait_for(lambda: "Ready" in deployment.serve.words(), 60)
        deployment.request_predictions()
        assert wait_for(lambda: deployment.predictions() >= 3, 60), deployment.serve.words()

        ballast = fill(small_disk)
        before = deployment.predictions()
        assert before < TASKS, "it was full before everything was done"
        for number in range(1, ANNOTATIONS + 1):
            deployment.annotate(number)
            time.sleep(0.1)
        time.sleep(5)
        assert deployment.serve.health(), "Label Studio still sees the backend"
        assert not deployment.done()

        ballast.unlink()
        assert wait_for(deployment.done, 120), deployment.serve.words()[-3000:]
        time.sleep(3)  # for a second delivery, which must not come
        assert deployment.doubles() == 0
        assert "Traceback" not in deployment.serve.words()
