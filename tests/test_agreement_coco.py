import random

import pytest
from exporting import exported, loaded
from verdict_data import annotation, detection, event, moved, predict, relabelled


def test_coco_keypoints_load_in_pycocotools_and_round_trip(any_database, tmp_path):
    generator = random.Random(0)
    where = [(generator.uniform(1, 98), generator.uniform(1, 98)) for _ in range(4)]
    regions = predict(any_database, 1, detection(*where))
    left = [regions[0], relabelled(regions[1], "nose"), moved(regions[2], 0.1), regions[4]]
    event(any_database, annotation(1, left))
    coco = loaded(exported(any_database, "coco"), tmp_path)
    [category] = coco.loadCats(coco.getCatIds())
    assert category["keypoints"] == ["car 1", "car 2", "nose"]
    [found] = coco.loadAnns(coco.getAnnIds())
    points = found["keypoints"]
    expected = [where[0], (where[2][0] + 0.1, where[2][1]), where[1]]
    assert points[2::3] == [2, 2, 2]
    for (x, y), slot in zip(expected, range(3), strict=True):
        # COCO has the corner of the first pixel at 0, we its centre.
        assert points[3 * slot : 3 * slot + 2] == pytest.approx([x + 0.5, y + 0.5], abs=1e-9)
    assert (found["num_keypoints"], found["iscrowd"]) == (3, 0)
    [image] = coco.loadImgs(coco.getImgIds())
    assert (image["width"], image["height"], image["file_name"]) == (100, 100, "data/upload/1.png")


def test_each_rectangle_is_an_instance_with_its_area(any_database, tmp_path):
    regions = predict(any_database, 1, detection((10, 10), (70, 70), (95, 5)))
    boxes = [
        {
            "id": name,
            "from_name": "box",
            "to_name": "image",
            "type": "rectanglelabels",
            "value": {"x": at, "y": at, "width": 30, "height": 20, "rectanglelabels": [name]},
        }
        for name, at in (("left", 0), ("right", 60))
    ]
    event(any_database, annotation(1, [*regions, *boxes]))
    coco = loaded(exported(any_database, "coco"), tmp_path)
    found = coco.loadAnns(coco.getAnnIds())
    assert [(each["label"], each["num_keypoints"]) for each in found] == [
        ("left", 1),
        ("right", 1),
        (None, 1),
    ]
    assert [each["area"] for each in found[:2]] == pytest.approx([600, 600])
