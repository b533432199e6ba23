from dataclasses import replace
from typing import Any

import pytest
from test_learning_diversity import example

from backend.learning.first_look import OtherImage, completed, expect_same_image, scaled_box
from backend.learning.records import UNKNOWN_SIZE, Example
from model.keypoint import Box, Detection


def drawn(**values: Any) -> Example:
    """An example of which only what the editor knew is known: on a copy of half the size."""
    defaults: dict[str, Any] = {"width": 32.0, "height": 24.0, "class_name": "", "drawn": "digest"}
    return example(1, **(defaults | values))


def found(box: Box | None = None) -> Detection:
    return Detection("van", 0.8, (), 64, 48, box or Box(0, 0, 64, 48))


def test_points_are_scaled_from_the_edge_of_the_image() -> None:
    """The centre of the first pixel of the copy is the corner of four pixels of the image."""
    taught = completed(drawn(points={"nose": (0.0, 0.0), "tail": (31.5, 23.5)}), found())
    assert taught.points == {"nose": (0.5, 0.5), "tail": (63.5, 47.5)}
    assert (taught.width, taught.height, taught.class_name) == (64, 48, "van")
    assert taught.box is None


def test_a_rectangle_is_scaled_as_points_are() -> None:
    taught = completed(drawn(box=Box(1, 2, 3, 4)), found(Box(10, 10, 20, 20)))
    assert taught.box == scaled_box(drawn(box=Box(1, 2, 3, 4)), 64, 48) == Box(2, 4, 6, 8)


def test_without_a_rectangle_the_object_is_to_be_found() -> None:
    two = {"nose": (10.0, 5.0), "tail": (20.0, 9.0)}
    assert completed(drawn(points=two), found(Box(10, 10, 20, 20))).box is None
    assert scaled_box(drawn(), 64, 48) is None


def test_where_a_single_point_is_tells_the_part_that_was_searched() -> None:
    part = Box(10, 10, 20, 20)
    assert completed(drawn(points={"nose": (10.0, 5.0)}), found(part)).box == part


def test_completing_again_changes_nothing() -> None:
    taught = completed(drawn(), found())
    assert completed(taught, found()) == taught


def test_shares_of_an_image_of_unknown_size_become_pixels() -> None:
    shares = drawn(width=UNKNOWN_SIZE, height=UNKNOWN_SIZE, points={"nose": (-0.25, 0.0)})
    expect_same_image(shares, 64, 48)
    assert completed(shares, found()).points == {"nose": (15.5, 23.5)}


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 48), (640, 480)])
def test_a_copy_of_the_same_shape_is_the_same_image(width: int, height: int) -> None:
    expect_same_image(drawn(), width, height)


def test_an_image_of_another_shape_is_another_one() -> None:
    with pytest.raises(OtherImage, match=r"expected an image of 32 × 24 px.*got 48 × 64"):
        expect_same_image(drawn(), 48, 64)


def test_an_image_that_was_predicted_has_exactly_its_size() -> None:
    compared = replace(drawn(), drawn=None)
    expect_same_image(compared, 32, 24)
    with pytest.raises(OtherImage):
        expect_same_image(compared, 64, 48)
