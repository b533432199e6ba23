"""Annotations are read with the right origin, and errors in them are reported."""

import json

import numpy as np
import pytest

from model.keypoint import Box
from studies.evaluation.datasets import COLUMNS, read_data_set, spread


def write_table(folder, rows, columns=COLUMNS):
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    (folder / "annotations.csv").write_text("\n".join(lines))


def rows_of(image, count, split="test", visible=1):
    return [(image, "car", split, 4, 5, 60, 30, f"p{i}", 10 + i, 20, visible) for i in range(count)]


def test_the_origin_moves_from_the_corner_to_the_first_pixels_centre(tmp_path):
    write_table(
        tmp_path, [*rows_of("a.jpg", 5), ("a.jpg", "car", "test", 4, 5, 60, 30, "x", "", "", 0)]
    )
    (found,) = read_data_set(tmp_path, "test")
    assert found.box == Box(4, 5, 60, 30) and found.length == 60
    assert found.names == ("p0", "p1", "p2", "p3", "p4")
    np.testing.assert_array_equal(found.landmarks[0], [9.5, 19.5])
    assert found.path == tmp_path / "a.jpg"


def test_images_with_few_landmarks_and_other_splits_are_left_out(tmp_path):
    write_table(tmp_path, [*rows_of("a", 4), *rows_of("b", 5), *rows_of("c", 9, "train")])
    assert [image.name for image in read_data_set(tmp_path, "test")] == ["b"]
    with pytest.raises(ValueError, match=r"split 'eval'.*found none"):
        read_data_set(tmp_path, "eval")


def test_missing_columns_are_named(tmp_path):
    write_table(tmp_path, [], columns=[c for c in COLUMNS if c not in ("x", "bbox_w")])
    with pytest.raises(ValueError, match="bbox_w, x"):
        read_data_set(tmp_path, "test")


def test_a_malformed_number_is_named_with_its_image(tmp_path):
    broken = [list(row) for row in rows_of("a.jpg", 5)]
    broken[2][8] = "left"
    write_table(tmp_path, broken)
    with pytest.raises(ValueError, match=r"image a\.jpg: .*left"):
        read_data_set(tmp_path, "test")


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"annotations\.csv or annotations\.json"):
        read_data_set(tmp_path, "test")


def test_coco_keypoints_are_read_one_object_at_a_time(tmp_path):
    triples = [
        [10, 20, 2],
        [11, 21, 2],
        [0, 0, 0],
        [12, 22, 1],
        [13, 23, 2],
        [14, 24, 2],
        [15, 25, 2],
    ]
    facts = {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "person", "keypoints": list("abcdefg")}],
        "annotations": [
            {"id": 3, "image_id": 7, "category_id": 1, "bbox": [5, 6, 20, 30],
             "keypoints": np.ravel(triples).tolist()}
        ],
    }  # fmt: skip
    (tmp_path / "annotations.json").write_text(json.dumps(facts))
    (found,) = read_data_set(tmp_path, "test")
    assert found.class_name == "person" and found.box == Box(5, 6, 20, 30)
    assert found.names == ("a", "b", "e", "f", "g")  # neither absent nor hidden ones
    np.testing.assert_array_equal(found.landmarks[2], [12.5, 22.5])


def test_fewer_images_are_taken_evenly():
    assert spread(list(range(10)), 4) == [0, 2, 5, 7]
    assert spread([1, 2], 5) == spread([1, 2], None) == [1, 2]
