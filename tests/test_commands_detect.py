"""The command line: what it prints, what it writes, and how it says what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_weights import save_small_network

from model.__main__ import main

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    return str(save_small_network(path, ("van", "bus"), input_size=64))


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "squares.png"
    squares = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    cv2.imwrite(str(path), squares.repeat(10, axis=0).repeat(10, axis=1))
    return str(path)


def test_prints_class_and_keypoints(weights, image, capsys):
    assert main(["detect", image, "--weights", weights, "--max-keypoints", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "3 keypoints on 80 × 60 px" in lines[0]
    assert len(lines) == 4 and all("score" in line for line in lines[1:])


def test_prints_a_line_of_json_for_each_image(weights, image, capsys):
    options = ["--weights", weights, "--json", "--box", "10,10,40,30"]
    assert main(["detect", image, image, *options]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == second
    assert first["box"] == {"left": 10, "top": 10, "width": 40, "height": 30}
    assert all(9.5 <= p["x"] <= 49.5 and 9.5 <= p["y"] <= 39.5 for p in first["keypoints"])


def test_draws_the_keypoints_and_both_maps(weights, image, tmp_path):
    out = tmp_path / "deep" / "out"
    assert main(["detect", image, "--weights", weights, "--out", str(out)]) == 0
    drawn = cv2.imread(str(out / "squares-keypoints.png"))
    assert drawn.shape == (60, 80, 3)
    assert not np.array_equal(drawn, cv2.imread(image))
    assert cv2.imread(str(out / "squares-panel.png")).shape[1] > 4 * 80


def test_says_where_the_time_went(weights, image, capsys):
    options = ["--weights", weights, "--preset", "poster", "--profile"]
    assert main(["detect", image, *options]) == 0
    stages = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert {"prepare", "decode", "coarse", "fine", "fusion", "keypoints"} < set(stages)


def test_an_image_that_fails_is_named_and_hurts_no_other(weights, image, tmp_path, capsys):
    (tmp_path / "empty.jpg").touch()
    images = [str(tmp_path / "empty.jpg"), str(tmp_path / "none.jpg"), image]
    assert main(["detect", *images, "--weights", weights, "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["image"] == image
    assert "empty.jpg: expected an image, got 0 bytes" in printed.err
    assert "none.jpg" in printed.err and "No such file" in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stride", "20"], "1 <= stride <= window"),
        (["--arch", "vit_b_16"], "guided backpropagation is defined for ReLU alone"),
        (["--weights", "none.pth"], "found none"),
        (["--box", "1,2,3"], "expected four numbers"),
        (["--max-keypoints", "many"], "expected a whole number or none, got 'many'"),
        (["--coarse", "fine"], "'fine' is not one of 'occlusion', 'activation'"),
        (["--speed", "7"], "No such option '--speed'"),
    ],
)
def test_a_mistake_is_reported_in_one_line(options, message, image, capsys):
    assert main(["detect", image, *options]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_a_picture_that_cannot_be_written_is_named_and_hurts_no_other(
    weights, image, tmp_path, capsys
):
    other = Path(image).with_name("other.png")
    other.write_bytes(Path(image).read_bytes())
    out = tmp_path / "out"
    (out / "squares-keypoints.png").mkdir(parents=True)
    assert main(["detect", image, str(other), "--weights", weights, "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert f"could not write {out / 'squares-keypoints.png'}: Is a directory" in printed.err
    assert "Traceback" not in printed.err
    assert (out / "other-keypoints.png").is_file()


def test_images_of_equal_stems_keep_their_folders_and_suffixes(weights, image, tmp_path):
    paths = [tmp_path / "set" / name for name in ("a/1.jpg", "b/1.jpg", "a/1.png", "b/2.png")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Path(image).read_bytes())
    options = ["--weights", weights, "--out", str(tmp_path / "out")]
    assert main(["detect", *map(str, paths), *options]) == 0
    written = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")
    }
    stems = ("a/1.jpg", "b/1", "a/1.png", "b/2")
    assert written == {f"{stem}-{kind}.png" for stem in stems for kind in ("keypoints", "panel")}


def test_a_folder_is_searched_but_for_its_own_results(weights, image, tmp_path, capsys):
    folder = tmp_path / "photos"
    for name in ("1.png", "sub/2.PNG", ".hidden/3.png", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(Path(image).read_bytes())
    options = ["--weights", weights, "--json", "--out", str(folder / "pictures")]
    for _ in range(2):
        assert main(["detect", str(folder), *options]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["image"] for line in lines] == [
            str(folder / "1.png"),
            str(folder / "sub" / "2.PNG"),
        ]
    assert (folder / "pictures" / "sub" / "2-keypoints.png").is_file()


def test_a_folder_without_images_and_results_among_the_images_are_refused(
    weights, image, tmp_path, capsys
):
    (tmp_path / "none").mkdir()
    assert main(["detect", str(tmp_path / "none"), "--weights", weights]) == 2
    assert f"in {tmp_path / 'none'}, found none" in capsys.readouterr().err
    folder = str(Path(image).parent)
    assert main(["detect", folder, "--weights", weights, "--out", folder]) == 2
    assert "expected another folder for the pictures" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_name_that_cannot_be_printed_hurts_no_other_file(weights, image, tmp_path, encoding):
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    for name in (b"1-\xff.png", "2-größe.png".encode(), b"3.png"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(Path(image).read_bytes())
    ended = subprocess.run(
        [sys.executable, "-m", "model", "detect", folder, "--out", out, "--weights", weights],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert b"1-\\udcff.png" in ended.stdout and b"3.png" in ended.stdout
    assert len(list(out.iterdir())) == 6


def test_without_a_command_they_are_listed():
    ended = subprocess.run(
        [sys.executable, "-m", "model"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 2
    assert "detect" in ended.stderr and "train" in ended.stderr


def test_a_command_that_does_not_exist_is_reported_in_one_line(capsys):
    assert main(["detext"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("python -m model: No such command 'detext'")
    assert printed.count("\n") == 1


def test_ctrl_c_ends_with_the_status_that_shells_give_it(image, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("model.commands.detect.load_classifier", interrupted)
    assert main(["detect", image]) == 130
