import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvat_fake import TASK
from cvat_scene import Scene, environment, scene
from rq import Queue

from backend.__main__ import main
from backend.database.connection import Database
from backend.hosts.cvat_push import CvatPush


@pytest.fixture
def birds(
    database: Database,
    queue: Queue,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Scene]:
    """A backend whose settings are in the environment, with a worker that works while it waits."""
    with scene(database, queue, tmp_path) as found:
        for name, value in environment(found.fake.url, tmp_path).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("REDIS_URL", redis_url)
        wait = CvatPush._wait

        def work_and_wait(push: CvatPush, *arguments: object) -> object:
            found.work()
            return wait(push, *arguments)

        monkeypatch.setattr(CvatPush, "_wait", work_and_wait)
        yield found


def test_push_and_pull_say_what_they_did(birds: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cvat", "push", "--task", str(TASK)]) == 0
    assert "3 × got suggestions" in capsys.readouterr().out
    assert main(["cvat", "push", "--task", str(TASK)]) == 0
    assert "3 × have these suggestions already" in capsys.readouterr().out
    assert main(["cvat", "pull", "--task", str(TASK)]) == 0
    assert "1 of 1 jobs are not finished, and not read" in capsys.readouterr().out
    birds.fake.finish(1)
    assert main(["cvat", "pull", "--task", str(TASK)]) == 0
    assert "3 frames of 1 finished jobs, 3 of them new or changed" in capsys.readouterr().out


def test_another_version_of_cvat_is_pointed_out(
    birds: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    birds.fake.version = "2.90.1"
    assert main(["cvat", "pull", "--task", str(TASK)]) == 0
    assert "was written for CVAT 2.80" in capsys.readouterr().out


def test_a_failed_frame_makes_the_status_one(
    birds: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    birds.set(cvat_url=None)  # of the worker
    assert main(["cvat", "push", "--task", str(TASK)]) == 1
    assert "3 × failed" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_what_is_wrong_is_said_in_one_line(
    birds: Scene, verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    birds.fake.task = {"mode": "interpolation"}
    assert main(["cvat", verb, "--task", str(TASK)]) == os.EX_CONFIG
    assert capsys.readouterr().err.startswith("expected a task of images, but task 7 has a video")
    monkeypatch.setenv("CVAT_URL", "http://127.0.0.1:9")
    assert main(["cvat", verb, "--task", str(TASK)]) == os.EX_CONFIG
    assert "got no answer" in capsys.readouterr().err
    monkeypatch.delenv("CVAT_URL")
    assert main(["cvat", verb, "--task", str(TASK)]) == os.EX_CONFIG
    assert "CVAT_URL or CVAT_ACCESS_TOKEN is not set" in capsys.readouterr().err


def test_a_wrong_label_is_named_and_nothing_goes_up(
    birds: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cvat", "push", "--task", str(TASK), "--labels", "beek"]) == os.EX_CONFIG
    assert "got beek: it has beak, tail" in capsys.readouterr().err
    assert not any(each.method == "PATCH" for each in birds.fake.requests)
