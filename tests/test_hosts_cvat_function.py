"""The function is called by the real cvat-cli, in a process of its own, against a small CVAT."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cvat_fake import BEAK, BIRD, FOOT, HEAD, TAIL, TASK, TOKEN, CvatFake, cvat_fake
from cvat_scene import environment, pictures, scene
from rq import Queue

from backend.database.connection import Database

pytest.importorskip("cvat_sdk")

ROOT = Path(__file__).parents[1]
MODULE = "backend.hosts.cvat_function"


@pytest.fixture
def birds() -> Iterator[CvatFake]:
    with cvat_fake(pictures(3)) as fake:
        yield fake
        assert fake.violations == []


def cvat_cli(
    fake: CvatFake, folder: Path, *parameters: str, more: tuple[str, ...] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `cvat-cli task auto-annotate` with parameters of the function, and more options."""
    given = [word for each in parameters for word in ("-p", each)]
    command = [sys.executable, "-m", "cvat_cli", "--server-host", fake.url]
    command += ["task", "auto-annotate", str(TASK), "--function-module", MODULE, *given, *more]
    # Everything that cvat-sdk keeps on the disk goes to the test's own folder.
    homes = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return subprocess.run(
        command,
        env={**os.environ, **environment(fake.url, folder), **homes, **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def changed(fake: CvatFake) -> list[str]:
    return [each.path for each in fake.requests if each.method in ("PATCH", "PUT")]


def test_cvat_cli_annotates_a_task_with_scores(birds: CvatFake, tmp_path: Path) -> None:
    ran = cvat_cli(birds, tmp_path, "labels=str:beak,tail")
    assert ran.returncode == 0, ran.stderr
    for frame in range(3):
        shapes = birds.shapes_on(frame)
        assert len(shapes) == 4
        assert all(0 < each["score"] <= 1 for each in shapes)
        assert {(each["source"], each["occluded"]) for each in shapes} == {("auto", False)}
        assert {each["label_id"] for each in shapes} <= {BEAK, TAIL}


def test_it_gives_the_same_points_as_push_which_workers_make(
    database: Database, queue: Queue, tmp_path: Path
) -> None:
    with scene(database, queue, tmp_path) as found:
        found.push()
        pushed = [found.points_on(frame) for frame in range(3)]
        found.fake.shapes[1] = []
        ran = cvat_cli(found.fake, tmp_path, "labels=str:beak,tail")
        assert ran.returncode == 0, ran.stderr
        assert [found.points_on(frame) for frame in range(3)] == pushed


def test_only_what_is_certain_enough_is_uploaded(birds: CvatFake, tmp_path: Path) -> None:
    cvat_cli(birds, tmp_path, "labels=str:beak,tail")
    scores = sorted(each["score"] for each in birds.shapes[1])
    threshold = scores[len(scores) // 2]
    birds.shapes[1] = []
    ran = cvat_cli(
        birds, tmp_path, "labels=str:beak,tail", more=("--conf-threshold", repr(threshold))
    )
    assert ran.returncode == 0, ran.stderr
    kept = sorted(each["score"] for each in birds.shapes[1])
    assert kept == [each for each in scores if each >= threshold]


def test_the_labels_are_those_of_the_task_if_it_is_named(birds: CvatFake, tmp_path: Path) -> None:
    ran = cvat_cli(birds, tmp_path, f"task=int:{TASK}")
    assert ran.returncode == 0, ran.stderr
    assert {each["label_id"] for each in birds.shapes[1]} <= {BEAK, TAIL}
    assert len(birds.shapes[1]) == 12


def test_a_skeleton_is_declared_with_its_labels(tmp_path: Path) -> None:
    with cvat_fake(pictures(1), skeleton=True) as fake:
        for parameters in (
            ("labels=str:head,foot", "skeleton=str:bird"),
            (f"task=int:{TASK}",),
        ):
            fake.shapes[1] = []
            ran = cvat_cli(fake, tmp_path, *parameters)
            assert ran.returncode == 0, ran.stderr
            [whole] = fake.shapes[1]
            assert (whole["type"], whole["label_id"]) == ("skeleton", BIRD)
            assert {each["label_id"] for each in whole["elements"]} == {HEAD, FOOT}
        assert fake.violations == []


def test_an_image_that_is_too_small_gets_nothing_and_the_others_go_up(tmp_path: Path) -> None:
    from PIL import Image

    images = pictures(2)
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (4, 4)).save(tiny)
    with cvat_fake([images[0], tiny.read_bytes(), images[1]]) as fake:
        ran = cvat_cli(fake, tmp_path, "labels=str:beak,tail")
        assert ran.returncode == 0, ran.stderr
        assert [len(fake.shapes_on(frame)) for frame in range(3)] == [4, 0, 4]
        assert "bird-1.jpg gets no suggestions: expected an image or a box" in ran.stderr


# Bad input


def test_a_video_is_refused_before_anything_is_uploaded(birds: CvatFake, tmp_path: Path) -> None:
    birds.task = {"mode": "interpolation", "data_original_chunk_type": "video"}
    ran = cvat_cli(birds, tmp_path, f"task=int:{TASK}")
    assert ran.returncode != 0
    assert "expected a task of images, but task 7 has a video" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert changed(birds) == []


def test_a_video_whose_number_the_function_is_not_told_is_refused_by_cvat_cli(
    birds: CvatFake, tmp_path: Path
) -> None:
    birds.task = {"mode": "interpolation", "data_original_chunk_type": "video"}
    ran = cvat_cli(birds, tmp_path, "labels=str:beak,tail")
    assert ran.returncode != 0
    assert "UnsupportedDatasetError" in ran.stderr
    assert changed(birds) == []


def test_a_label_that_the_task_lacks_is_named_with_those_that_it_has(
    birds: CvatFake, tmp_path: Path
) -> None:
    ran = cvat_cli(birds, tmp_path, "labels=str:beek", f"task=int:{TASK}")
    assert ran.returncode != 0
    assert "got beek: it has beak, tail" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert changed(birds) == []


def test_without_the_task_cvat_cli_names_the_label_that_it_lacks(
    birds: CvatFake, tmp_path: Path
) -> None:
    ran = cvat_cli(birds, tmp_path, "labels=str:beek")
    assert ran.returncode != 0
    assert "label 'beek' is not in dataset" in ran.stderr
    assert changed(birds) == []


def test_without_labels_it_says_how_to_name_them(birds: CvatFake, tmp_path: Path) -> None:
    ran = cvat_cli(birds, tmp_path)
    assert ran.returncode != 0
    assert "expected the names of labels such as beak,tail" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_a_network_it_says_so_in_one_line(tmp_path: Path) -> None:
    away = CvatFake(url="http://127.0.0.1:9")
    ran = cvat_cli(away, tmp_path, f"task=int:{TASK}")
    assert ran.returncode == 1
    assert "Connection refused" in ran.stderr


def test_an_upload_that_fails_leaves_nothing(birds: CvatFake, tmp_path: Path) -> None:
    birds.fails[("PATCH", "/api/tasks/")] = 99
    ran = cvat_cli(birds, tmp_path, "labels=str:beak,tail")
    assert ran.returncode == 1
    assert birds.shapes[1] == []


# What cvat-cli does badly, which docs/cvat.md says and `push` mends


def test_a_second_run_of_cvat_cli_doubles_and_clearing_deletes_the_work_of_people(
    birds: CvatFake, tmp_path: Path
) -> None:
    cvat_cli(birds, tmp_path, "labels=str:beak,tail")
    cvat_cli(birds, tmp_path, "labels=str:beak,tail")
    assert len(birds.shapes[1]) == 24
    uploads = changed(birds)
    assert uploads == [f"/api/tasks/{TASK}/annotations/?action=create"] * 2  # one for all frames
    drawn = birds.draw(1, 0, BEAK, 5, 5)
    cvat_cli(birds, tmp_path, "labels=str:beak,tail", more=("--clear-existing",))
    assert len(birds.shapes[1]) == 12
    assert drawn not in {each["id"] for each in birds.shapes[1]}


def test_the_module_says_what_to_install_where_the_sdk_is_missing(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update({'cvat_sdk': None, 'cvat_sdk.auto_annotation': None})\n"
        f"import {MODULE}"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode != 0
    assert "pip install -r requirements-cvat.txt" in ran.stderr


def test_the_token_is_in_no_output(birds: CvatFake, tmp_path: Path) -> None:
    ran = cvat_cli(birds, tmp_path, f"task=int:{TASK}")
    assert TOKEN not in ran.stdout + ran.stderr
