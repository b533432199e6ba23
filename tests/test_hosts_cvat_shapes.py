from typing import Any

import pytest
from cvat_fake import BEAK, BIRD, FOOT, HEAD, POINTS, SKELETON, TAIL

from backend.hosts.cvat_labels import PointLabels, point_labels
from backend.hosts.cvat_schemas import CvatShape, Label
from backend.hosts.cvat_shapes import (
    is_untouched,
    shows_the_same,
    to_regions,
    to_shapes,
    with_ids,
)
from backend.labelstudio.regions import to_prediction
from model.keypoint import Box, Detection, Keypoint

SIZE = (64, 48)


def labels_of(*raw: dict[str, Any]) -> PointLabels:
    return point_labels([Label.model_validate(each) for each in raw])


LABELS = labels_of(*POINTS)
BIRDS = labels_of(*SKELETON)


def suggested(labels: PointLabels, *points: tuple[float, float, str]) -> list[dict[str, Any]]:
    """The regions that Label Studio would get."""
    found = tuple(Keypoint(x, y, 0.5, name) for x, y, name in points)
    detection = Detection("", 0.5, found, *SIZE, Box(0, 0, *SIZE))
    made = to_prediction(
        detection, labels.control(), key="k", model_version="v", default_label=None
    )
    return made["result"]


def shape(number: int, x: float, y: float, label: int = BEAK, **more: Any) -> CvatShape:
    return CvatShape.model_validate(
        {"id": number, "type": "points", "label_id": label, "frame": 0, "points": [x, y]}
        | {"source": "auto"}
        | more
    )


def test_a_keypoint_at_the_centre_of_the_first_pixel_is_half_a_pixel_from_the_corner():
    [made] = to_shapes(suggested(LABELS, (0.0, 0.0, "tail")), LABELS, 3)
    assert made.json["points"] == pytest.approx([0.5, 0.5])
    assert (made.json["label_id"], made.json["frame"], made.json["score"]) == (TAIL, 3, 0.5)


def test_a_skeleton_is_one_shape_with_absent_landmarks_between_the_others():
    [made] = to_shapes(suggested(BIRDS, (9.5, 19.5, "foot")), BIRDS)
    assert (made.json["type"], made.json["label_id"]) == ("skeleton", BIRD)
    assert [
        (each["label_id"], pytest.approx(each["points"]), each["outside"])
        for each in made.json["elements"]
    ] == [(HEAD, [10.0, 20.0], True), (FOOT, [10.0, 20.0], False)]
    assert made.regions == (None, 0)


def test_regions_get_the_ids_that_cvat_gave_to_their_shapes():
    regions = suggested(LABELS, (1, 2, "beak"), (3, 4, "tail"))
    new = list(to_shapes(regions, LABELS))
    made = [shape(70, 1.5, 2.5), shape(71, 3.5, 4.5, TAIL)]
    assert [each["id"] for each in with_ids(regions, new, made)] == ["70", "71"]


def test_what_comes_back_is_what_was_sent():
    regions = suggested(LABELS, (1, 2, "beak"), (3, 4, "tail"))
    back = [shape(70, 1.5, 2.5), shape(71, 3.5, 4.5, TAIL)]
    found = to_regions(back, LABELS, LABELS.control(), SIZE)
    names = ("type", "from_name", "to_name", "original_width", "original_height", "value")
    assert [[each[name] for name in names] for each in found] == [
        [each[name] for name in names] for each in regions
    ]
    assert [each["id"] for each in found] == ["70", "71"]


def test_absent_points_other_labels_and_other_kinds_are_no_keypoints():
    shapes = [
        shape(1, 1, 1, outside=True),
        shape(2, 1, 1, label=99),
        shape(3, 1, 1, type="rectangle"),
    ]
    assert to_regions(shapes, LABELS, LABELS.control(), SIZE) == []


def test_a_shape_of_several_points_is_as_many_keypoints():
    several = shape(5, 1, 1, points=[1, 1, 2, 2, 3, 3])
    found = to_regions([several], LABELS, LABELS.control(), SIZE)
    assert [each["id"] for each in found] == ["5", "5.1", "5.2"]


def test_a_shape_with_a_new_id_at_the_place_of_a_missing_one_is_that_one():
    sent = [{**suggested(LABELS, (1, 2, "beak"))[0], "id": "70"}]
    for back, expected in [
        (shape(80, 1.5, 2.5), "70"),
        (shape(80, 1.5, 2.5, source="manual"), "80"),
        (shape(80, 1.6, 2.5), "80"),
        (shape(80, 1.5, 2.5, TAIL), "80"),
    ]:
        [found] = to_regions([back], LABELS, LABELS.control(), SIZE, sent)
        assert found["id"] == expected


@pytest.mark.parametrize(
    ("source", "origin"),
    [("auto", "prediction"), ("semi-auto", "prediction-changed"), ("manual", "manual")],
)
def test_the_source_says_who_made_a_point(source, origin):
    [found] = to_regions([shape(1, 1, 1, source=source)], LABELS, LABELS.control(), SIZE)
    assert found["origin"] == origin


def test_a_frame_is_untouched_as_long_as_nothing_was_drawn_changed_or_deleted():
    sent = [{**suggested(LABELS, (1, 2, "beak"))[0], "id": "70"}]
    kept = shape(70, 1.5, 2.5)
    assert is_untouched([], LABELS, None)
    assert is_untouched([kept], LABELS, sent)
    assert is_untouched([kept, shape(80, 9, 9)], LABELS, sent)  # another program's
    assert not is_untouched([], LABELS, sent)
    assert not is_untouched([kept, shape(80, 9, 9, source="manual")], LABELS, sent)
    assert not is_untouched([shape(70, 1.5, 2.6)], LABELS, sent)
    assert not is_untouched([shape(70, 1.5, 2.5, TAIL)], LABELS, sent)


def test_a_frame_shows_the_same_if_it_has_each_keypoint_and_no_other():
    regions = suggested(LABELS, (1, 2, "beak"), (3, 4, "tail"))
    both = [shape(71, 3.5, 4.50004, TAIL), shape(70, 1.5, 2.5)]
    assert shows_the_same(both, LABELS, regions)
    assert not shows_the_same(both[:1], LABELS, regions)
    assert not shows_the_same([*both, shape(72, 1.5, 2.5)], LABELS, regions)
