"""The drawings of the demonstration, and what is known about them."""

from itertools import islice

import cv2
import numpy as np
import pytest

from backend.commands.demo_drawings import LANDMARKS, draw_cars, true_landmarks
from drawings.drawing import draw
from drawings.vehicle import LANDMARKS as ALL


def test_the_landmarks_are_those_of_the_drawings(tmp_path):
    images = draw_cars(tmp_path)
    found = true_landmarks(tmp_path)
    assert set(found) == set(images.rglob("*.png"))
    assert len(found) == 24
    for index, (image, true) in enumerate(islice(sorted(found.items()), 3)):
        drawing = draw(index, (640, 480), seed=20_000, class_name="saloon", facing="right")
        np.testing.assert_array_equal(cv2.imread(str(image))[..., ::-1], drawing.image)
        places = {
            mark.name: pytest.approx((mark.x, mark.y), abs=1e-3)
            for mark in drawing.landmarks
            if mark.visible and mark.name in LANDMARKS
        }
        assert true.points == places
        assert true.size == (640, 480)
        assert true.length == pytest.approx(max(drawing.box.width, drawing.box.height), abs=1e-3)


def test_every_label_is_a_landmark_of_the_drawings():
    assert set(LANDMARKS) <= set(ALL)


def test_drawings_that_are_there_are_not_drawn_again(tmp_path):
    (tmp_path / "complete").touch()
    assert not draw_cars(tmp_path).exists()
