"""The function, called by CVAT's own driver, and by the real cvat-cli in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cvat_fake import BEAK, BIRD, FOOT, HEAD, TAIL, TASK, TOKEN, CvatFake, cvat_fake
from cvat_scene import environment, pictures, scene
from PIL import Image
from rq import Queue

from backend.database.connection import Database

cvat_sdk = pytest.importorskip("cvat_sdk")

ROOT = Path(__file__).parents[1]
MODULE = "backend.hosts.cvat_function"


@pytest.fixture
def birds() -> Iterator[CvatFake]:
    with cvat_fake(pictures(3)) as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def annotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What cvat-cli does in its process: make the function, and have the driver run it."""

    def run(fake: CvatFake, *, conf_threshold: float | None = None, **parameters: Any) -> None:
        from cvat_sdk import auto_annotation
        from cvat_sdk.core.client import AccessTokenCredentials, Client, Config

        from backend.hosts.cvat_function import create

        for name, value in environment(fake.url, tmp_path).items():
            monkeypatch.setenv(name, value)
        function = create(**parameters)
        with Client(fake.url, config=Config(cache_dir=tmp_path / "cache")) as client:
            client.login(AccessTokenCredentials(TOKEN))
            auto_annotation.annotate_task(client, TASK, function, conf_threshold=conf_threshold)

    return run


def cvat_cli(
    fake: CvatFake, folder: Path, *parameters: str, more: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run `cvat-cli task auto-annotate` with parameters of the function, and more options."""
    given = [word for each in parameters for word in ("-p", each)]
    command = [sys.executable, "-m", "cvat_cli", "--server-host", fake.url]
    command += ["task", "auto-annotate", str(TASK), "--function-module", MODULE, *given, *more]
    # Everything that cvat-sdk keeps on the disk goes to the test's own folder.
    homes = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return subprocess.run(
        command,
        env={**os.environ, **environment(fake.url, folder), **homes},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def changed(fake: CvatFake) -> list[str]:
    return [each.path for each in fake.requests if each.method in ("PATCH", "PUT")]


# The real cvat-cli


def test_cvat_cli_gives_the_same_points_as_push_and_a_second_run_doubles_them(
    database: Database, queue: Queue, tmp_path: Path
) -> None:
    """The second half is what docs/cvat.md says of cvat-cli, and `push` mends."""
    with scene(database, queue, tmp_path) as found:
        found.push()
        pushed = [found.points_on(frame) for frame in range(3)]
        fake = found.fake
        fake.shapes[1] = []
        fake.requests.clear()
        ran = cvat_cli(fake, tmp_path, "labels=str:beak,tail")
        assert ran.returncode == 0, ran.stderr
        assert [found.points_on(frame) for frame in range(3)] == pushed
        for shape in fake.shapes[1]:
            assert 0 < shape["score"] <= 1
            assert (shape["source"], shape["occluded"]) == ("auto", False)
        assert changed(fake) == [f"/api/tasks/{TASK}/annotations/?action=create"]  # one for all
        cvat_cli(fake, tmp_path, "labels=str:beak,tail")
        assert len(fake.shapes[1]) == 24
        drawn = fake.draw(1, 0, BEAK, 5, 5)
        cvat_cli(fake, tmp_path, "labels=str:beak,tail", more=("--clear-existing",))
        assert len(fake.shapes[1]) == 12
        assert drawn not in {each["id"] for each in fake.shapes[1]}


def test_cvat_cli_says_in_one_line_what_is_wrong_with_a_task(
    birds: CvatFake, tmp_path: Path
) -> None:
    birds.task = {"mode": "interpolation", "data_original_chunk_type": "video"}
    ran = cvat_cli(birds, tmp_path, f"task=int:{TASK}")
    assert ran.returncode != 0
    assert "expected a task of images, but task 7 has a video" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert changed(birds) == []
    assert TOKEN not in ran.stdout + ran.stderr


def test_without_a_network_cvat_cli_says_so_in_one_line(tmp_path: Path) -> None:
    away = CvatFake(url="http://127.0.0.1:9")
    ran = cvat_cli(away, tmp_path, f"task=int:{TASK}")
    assert ran.returncode == 1
    assert "Connection refused" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_module_says_what_to_install_where_the_sdk_is_missing() -> None:
    code = (
        "import sys; sys.modules.update({'cvat_sdk': None, 'cvat_sdk.auto_annotation': None})\n"
        f"import {MODULE}"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode != 0
    assert "pip install -r requirements-cvat.txt" in ran.stderr


# Its driver


def test_only_what_is_certain_enough_is_uploaded(birds: CvatFake, annotate: Any) -> None:
    annotate(birds, labels="beak,tail")
    scores = sorted(each["score"] for each in birds.shapes[1])
    threshold = scores[len(scores) // 2]
    birds.shapes[1] = []
    annotate(birds, labels="beak,tail", conf_threshold=threshold)
    kept = sorted(each["score"] for each in birds.shapes[1])
    assert kept == [each for each in scores if each >= threshold]
    assert 0 < len(kept) < len(scores)


def test_the_labels_are_those_of_the_task_if_it_is_named(birds: CvatFake, annotate: Any) -> None:
    annotate(birds, task=TASK)
    assert len(birds.shapes[1]) == 12
    assert {each["label_id"] for each in birds.shapes[1]} <= {BEAK, TAIL}


@pytest.mark.parametrize(
    "parameters", [{"labels": "head,foot", "skeleton": "bird"}, {"task": TASK}]
)
def test_a_skeleton_is_declared_with_its_labels(parameters: dict[str, Any], annotate: Any) -> None:
    with cvat_fake(pictures(1), skeleton=True) as fake:
        annotate(fake, **parameters)
        [whole] = fake.shapes[1]
        assert (whole["type"], whole["label_id"]) == ("skeleton", BIRD)
        assert {each["label_id"] for each in whole["elements"]} == {HEAD, FOOT}
        assert fake.violations == []


def test_an_image_that_is_too_small_gets_nothing_and_the_others_go_up(
    tmp_path: Path, annotate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    images = pictures(2)
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (4, 4)).save(tiny)
    with cvat_fake([images[0], tiny.read_bytes(), images[1]]) as fake:
        annotate(fake, labels="beak,tail")
        assert [len(fake.shapes_on(frame)) for frame in range(3)] == [4, 0, 4]
    assert "bird-1.jpg gets no suggestions: expected an image or a box" in caplog.text


def test_a_video_whose_number_the_function_is_not_told_is_refused_by_cvat(
    birds: CvatFake, annotate: Any
) -> None:
    birds.task = {"mode": "interpolation", "data_original_chunk_type": "video"}
    with pytest.raises(cvat_sdk.core.exceptions.CvatSdkException, match="image sets"):
        annotate(birds, labels="beak,tail")
    assert changed(birds) == []


def test_a_label_that_the_task_lacks_is_named_with_those_that_it_has(
    birds: CvatFake, annotate: Any
) -> None:
    with pytest.raises(SystemExit, match="got beek: it has beak, tail"):
        annotate(birds, labels="beek", task=TASK)
    with pytest.raises(Exception, match="label 'beek' is not in dataset"):
        annotate(birds, labels="beek")  # the driver's own words
    assert changed(birds) == []


def test_without_labels_it_says_how_to_name_them(birds: CvatFake, annotate: Any) -> None:
    with pytest.raises(SystemExit, match="expected the names of labels such as beak,tail"):
        annotate(birds)


def test_an_upload_that_fails_leaves_nothing(birds: CvatFake, annotate: Any) -> None:
    birds.fails[("PATCH", "/api/tasks/")] = 99
    with pytest.raises(cvat_sdk.exceptions.ApiException):
        annotate(birds, labels="beak,tail")
    assert birds.shapes[1] == []
