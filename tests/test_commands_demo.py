"""The parts of the demonstration that need no Label Studio; tests/e2e runs all of it."""

import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from conftest import free_port as any_port
from loopback_server import Answer, as_json, loopback_server

from backend.commands.demo_processes import DemoState
from backend.commands.demo_project import (
    _chunks,
    _unambiguous_name,
    find_images,
    find_or_create,
    label_config,
    landmark_config,
    uploaded_name,
)
from backend.commands.demo_subject import prepare
from backend.labelstudio.label_config import keypoint_control
from backend.local.label_studio import LocalLabelStudio, free_port, running
from backend.settings import Settings
from drawings.shapes import CLASSES


def test_few_classes_are_labels_and_choices():
    control = keypoint_control(label_config(CLASSES))
    assert control.image_path == "image"
    assert control.labels == CLASSES
    assert control.choices is not None
    assert control.choices.classes == CLASSES


def test_landmarks_are_labels_and_nobody_is_asked_for_the_class():
    control = keypoint_control(landmark_config(("front wheel", 'a "b"')))
    assert control.image_path == "image"
    assert control.labels == ("front wheel", 'a "b"')
    assert control.choices is None


def test_many_classes_are_choices_once_each_and_points_have_a_plain_label():
    names = [f"class {number}" for number in range(1000)] + ["class 7"]
    control = keypoint_control(label_config(names))
    assert control.labels == ("keypoint",)
    assert control.choices is not None
    assert control.choices.classes == tuple(names[:-1])


def test_names_of_classes_may_hold_any_character():
    names = ('a "b" & <c>', "d'e")
    assert keypoint_control(label_config(names)).labels == names


def test_images_are_found_below_a_folder_and_other_files_are_not(tmp_path):
    for name in ("b.PNG", "deep/a.jpg", "notes.txt", "deep/er/c.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in find_images(tmp_path)]
    assert found == ["deep/a.jpg", "b.PNG", "deep/er/c.webp"]


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="expected images"):
        find_images(tmp_path)


def test_an_image_has_the_same_name_at_every_start_and_another_image_has_another(tmp_path):
    first, second = tmp_path / "one" / "röntgen 1.JPG", tmp_path / "two" / "röntgen 1.JPG"
    for path, content in ((first, b"first"), (second, b"second")):
        path.parent.mkdir()
        path.write_bytes(content)
    name = _unambiguous_name(first, tmp_path)
    assert name == _unambiguous_name(first, tmp_path)
    assert name != _unambiguous_name(second, tmp_path)
    assert uploaded_name(f"/data/upload/1/0a1b2c3d-{name}") == name


def test_uploads_are_split_so_that_label_studio_takes_each_request(tmp_path):
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(60_000_000)
    small = tmp_path / "small.png"
    small.touch()
    images = [("large", large)] * 3 + [("small", small)] * 120
    chunks = list(_chunks(images))
    assert [image for chunk in chunks for image in chunk] == images
    for chunk in chunks:
        assert len(chunk) <= 100
        assert sum(path.stat().st_size for _, path in chunk) < 250_000_000


def test_ports_and_token_are_kept_from_one_start_to_the_next(tmp_path):
    file = tmp_path / "demo.json"
    first = DemoState(file)
    port, token = first.port("backend", any_port()), first.token()
    second = DemoState(file)
    assert (second.port("backend", any_port()), second.token()) == (port, token)
    assert len(token) == 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_port_that_somebody_took_meanwhile_is_given_up(tmp_path):
    state = DemoState(tmp_path / "demo.json")
    port = state.port("backend", any_port())
    with socket.create_server(("127.0.0.1", port)):
        assert state.port("backend", port) != port


def test_a_preferred_port_is_taken_where_it_is_free():
    port = any_port()
    assert free_port(port) == port


def test_a_folder_that_is_not_there_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(RuntimeError, match="expected a folder of images at"):
        prepare(Settings(), tmp_path / "missing", tmp_path)


def test_a_machine_without_the_drawings_gets_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    """As in the Docker image, which does not hold them."""
    monkeypatch.setitem(sys.modules, "drawings.dataset", None)
    with pytest.raises(RuntimeError, match="give a folder of images with --images"):
        prepare(Settings(), None, tmp_path)


def test_weights_that_do_not_fit_are_refused_with_the_reason(tmp_path):
    (weights := tmp_path / "broken.safetensors").write_bytes(b"no weights")
    settings = Settings(model_arch="small", model_weights=str(weights))
    with pytest.raises(RuntimeError, match=r"broken\.safetensors"):
        prepare(settings, tmp_path, tmp_path)


def test_a_machine_without_label_studio_gets_an_error_that_says_how_to_get_it(tmp_path):
    with (
        pytest.raises(RuntimeError, match="`make demo` installs it"),
        running(Path("nowhere"), tmp_path, port=any_port(), token="t"),
    ):
        pass


@contextmanager
def studio_answering(answer: Answer) -> Iterator[LocalLabelStudio]:
    with loopback_server(lambda request, handler: answer) as served:
        process = cast(subprocess.Popen[bytes], None)
        yield LocalLabelStudio(served.url, "user", "password", "token", Path("log"), process)


def test_the_project_of_the_last_start_is_found_again():
    made = {"id": 4, "created_at": "2026-11-22T12:00:00Z", "title": "Mine", "label_config": "<V/>"}
    rows = [made | {"id": 3, "title": "Another"}, made]
    with studio_answering(as_json({"results": rows, "count": 2})) as studio:
        assert find_or_create(studio, "Mine", "<V/>").id == 4


def test_a_malformed_project_is_said_in_one_sentence():
    with studio_answering(as_json({"results": [{"id": "3"}], "count": 1})) as studio:
        expected = "expected a whole number in 'id', got '3' in the answer .* to /api/projects"
        with pytest.raises(RuntimeError, match=expected):
            find_or_create(studio, "Mine", "<View/>")
