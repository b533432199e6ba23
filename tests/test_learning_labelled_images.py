"""Sources of class labels: folders and tables."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from drawings.labelled import labelled_drawings
from model.decoding import UnreadableImage
from model.learning.labelled_images import in_folders, in_table, shuffled

COLUMNS = ["image", "class", "split", "keypoint", "x", "y", "visible"]


def write_image(path: Path, colour: tuple[int, int, int] = (200, 30, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).save(path)


def write_table(folder: Path, rows: list[list[str]], columns: list[str] = COLUMNS) -> None:
    with (folder / "annotations.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def test_shuffling_gives_the_same_images_each_others_labels():
    images = labelled_drawings(48)
    mixed = shuffled(images, seed=3)
    assert mixed.names == images.names and mixed.load is images.load
    assert sorted(mixed.labels) == sorted(images.labels)
    kept = sum(one == two for one, two in zip(images.labels, mixed.labels, strict=True))
    assert kept < 20  # of 48; by chance 8
    assert mixed.labels == shuffled(images, seed=3).labels != shuffled(images, seed=4).labels


def test_a_folder_is_a_class(tmp_path):
    write_image(tmp_path / "cat" / "2.png", (0, 0, 255))
    write_image(tmp_path / "cat" / "1.png")
    write_image(tmp_path / "dog" / "deeper" / "3.JPG")
    images = in_folders(tmp_path)
    assert images.names == ("cat/1.png", "cat/2.png", "dog/deeper/3.JPG")
    assert images.labels == ("cat", "cat", "dog")
    assert images.load(1)[0, 0].tolist() == [0, 0, 255]


def test_other_files_and_hidden_ones_are_no_images(tmp_path):
    write_image(tmp_path / "cat" / "1.png")
    write_image(tmp_path / "cat" / "._1.png")
    write_image(tmp_path / ".thumbnails" / "1.png")
    (tmp_path / "cat" / "notes.txt").write_text("a cat")
    write_image(tmp_path / "lies beside the folders.png")
    assert in_folders(tmp_path).names == ("cat/1.png",)


def test_a_damaged_image_fails_when_it_is_loaded(tmp_path):
    write_image(tmp_path / "cat" / "1.png")
    (tmp_path / "cat" / "2.png").write_bytes(b"no image")
    images = in_folders(tmp_path)
    assert images.load(0).shape == (6, 8, 3)
    with pytest.raises(UnreadableImage):
        images.load(1)


def test_a_folder_without_images_says_what_it_should_look_like(tmp_path):
    write_image(tmp_path / "1.png")
    with pytest.raises(ValueError, match="expected a folder for each class in"):
        in_folders(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a folder of images at .*nowhere"):
        in_folders(tmp_path / "nowhere")


def test_a_table_gives_each_image_once(tmp_path):
    write_image(tmp_path / "a.png")
    write_table(
        tmp_path,
        [
            ["a.png", "cat", "train", "ear", "1", "2", "1"],
            ["a.png", "cat", "train", "nose", "", "", "0"],
            ["b.png", "dog", "train", "ear", "1", "2", "1"],
        ],
    )
    images = in_table(tmp_path)
    assert images.names == ("a.png", "b.png")
    assert images.labels == ("cat", "dog")
    assert images.load(0).shape == (6, 8, 3)
    with pytest.raises(FileNotFoundError):
        images.load(1)


def test_a_table_is_read_for_one_split(tmp_path):
    rows = [["a.png", "cat", "train"], ["b.png", "cat", "test"], ["c.png", "dog", "train"]]
    write_table(tmp_path, rows, ["image", "class", "split"])
    assert in_table(tmp_path, split="train").names == ("a.png", "c.png")
    assert in_table(tmp_path).names == ("a.png", "b.png", "c.png")


def test_only_image_class_and_split_are_read(tmp_path):
    """Whatever the keypoint columns contain, the supervision is the same."""
    kept = [["a.png", "cat", "train"], ["b.png", "dog", "train"]]
    write_table(tmp_path, [[*row, "ear", "1", "2", "1"] for row in kept])
    annotated = in_table(tmp_path, split="train")
    write_table(tmp_path, [[*row, "?", "not", "a", "number"] for row in kept])
    garbled = in_table(tmp_path, split="train")
    write_table(tmp_path, kept, COLUMNS[:3])
    bare = in_table(tmp_path, split="train")
    assert annotated.names == garbled.names == bare.names
    assert annotated.labels == garbled.labels == bare.labels


def test_an_image_with_two_classes_or_none_is_left_out_and_named(tmp_path):
    rows = [
        ["a.png", "cat", "train"],
        ["a.png", "dog", "train"],
        ["b.png", "dog", "train"],
        ["c.png", "", "train"],
    ]
    write_table(tmp_path, rows, COLUMNS[:3])
    images = in_table(tmp_path, split="train")
    assert images.names == ("b.png",)
    assert images.left_out == (
        ("a.png", "it is called cat and dog"),
        ("c.png", "it has a row without a class"),
    )


def test_an_unknown_split_is_refused_with_those_that_exist(tmp_path):
    write_table(tmp_path, [["a.png", "cat", "test"], ["b.png", "cat", "train"]], COLUMNS[:3])
    with pytest.raises(ValueError, match=r"rows of split 'training' .*; it has test, train"):
        in_table(tmp_path, split="training")


def test_a_missing_column_is_named(tmp_path):
    write_table(tmp_path, [["a.png", "cat"]], ["image", "label"])
    with pytest.raises(ValueError, match="class is missing from: image, label"):
        in_table(tmp_path)


def test_a_table_without_rows_is_refused(tmp_path):
    write_table(tmp_path, [])
    with pytest.raises(ValueError, match="expected a row for each image"):
        in_table(tmp_path, split="train")


def test_a_table_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "annotations.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(ValueError, match="cannot be read as CSV in UTF-8"):
        in_table(tmp_path)


def test_a_folder_without_a_table_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"expected a table of images at .*annotations\.csv"
    ):
        in_table(tmp_path)
