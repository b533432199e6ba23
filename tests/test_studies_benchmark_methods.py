"""The benchmark's methods lead to the keypoints of the detector."""

from dataclasses import replace

import pytest

from drawings.drawing import draw
from model.detector import Detector
from model.image import clip_box, to_square
from model.settings import POSTER
from studies import benchmark_methods as methods
from studies.benchmark_methods import Task


def test_points_are_those_of_the_detector(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(methods, "SIDE", 64)
    case = methods.Case(Task(arch="small", method="dense"))
    picture = draw(0).image
    height, width = picture.shape[:2]
    square, _ = to_square(picture, clip_box(None, width, height), 64, "squash")
    settings = replace(POSTER, keep=1.0, subpixel=False)
    expected = Detector(case.classifier, settings).detect(square).keypoints
    found = case.points(methods.dense(case).run())
    assert len(expected) > 10
    assert found == [[round(point.y), round(point.x)] for point in expected]
