"""`make demo` without make: all of it started, checked and ended by one command."""

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import requests
from serving import LABEL_STUDIO, PLAIN_ENVIRONMENT, ROOT, descendants, eventually, lives

from backend.local.processes import spawn
from drawings.drawing import draw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demonstration keeps its things, with two images."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "images").mkdir()
    for index in range(2):
        drawing = draw(index, (320, 240), seed=3)
        cv2.imwrite(str(folder / "images" / f"{index}.png"), drawing.image[..., ::-1])
    return folder


COMMAND = [sys.executable, "-m", "backend", "demo", "--label-studio", str(LABEL_STUDIO)]


def command(folder: Path, *arguments: str) -> list[str]:
    return [*COMMAND, "--images", str(folder / "images"), *arguments]


def environment(folder: Path, weights: Path) -> dict[str, str]:
    return PLAIN_ENVIRONMENT | {"DATA_DIR": str(folder / "data"), "MODEL_WEIGHTS": str(weights)}


def check(folder: Path, weights: Path) -> subprocess.CompletedProcess[str]:
    return finished(command(folder, "--check"), environment(folder, weights))


def finished(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=1800
    )


def test_a_check_passes_and_fails_with_the_suggestions(folder, weights):
    passed = check(folder, weights)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "2 of 2 tasks have their suggestion" in passed.stdout

    (folder / "images" / "broken.png").write_text("This is not an image.")
    failed = check(folder, weights)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    # The same project again: nothing is there twice.
    assert "2 of 3 tasks have their suggestion" in failed.stdout
    [row] = [line for line in failed.stdout.splitlines() if "broken" in line]
    assert "expected an image" in row


def test_it_runs_until_it_is_stopped_and_leaves_nothing_running(folder, weights):
    log = folder / "demo.log"
    with log.open("wb") as output:
        demo = spawn(command(folder), env=environment(folder, weights), output=output, cwd=ROOT)
    assert eventually(lambda: "Ctrl-C stops everything" in log.read_text(), 600), log.read_text()
    words = log.read_text()
    [address] = [line.split()[1] for line in words.splitlines() if line.startswith("  Open")]
    assert requests.get(address, timeout=30).ok
    everything = [demo.pid, *descendants(demo.pid)]
    assert len(everything) >= 6

    demo.send_signal(signal.SIGTERM)
    demo.wait(60)

    assert eventually(lambda: not any(lives(pid) for pid in everything))


def test_five_drawings_are_corrected_once_and_the_others_have_names(tmp_path):
    """As `make demo CHECK=1`, which also trains its network, and then once more."""
    environment = PLAIN_ENVIRONMENT | {"DATA_DIR": str(tmp_path)}
    first = finished([*COMMAND, "--check"], environment)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "19 of 19 tasks have their suggestion" in first.stdout
    assert "After 5 corrected drawings" in first.stdout
    table = first.stdout.partition("19 of 19")[0]

    again = finished([*COMMAND, "--check"], environment)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.partition("19 of 19")[0].endswith(table[table.index("task ") :])
    assert "Learning landmarks" not in again.stderr
