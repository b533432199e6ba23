"""Points without a name on an image with several rectangles."""

from collections.abc import Sequence

from backend.suggestions.unnamed_points import detect_in_others, merged, points_of_each
from model.keypoint import Box, Detection, Keypoint

LEFT, RIGHT, TINY = Box(0, 0, 20, 20), Box(15, 0, 20, 20), Box(50, 50, 2, 2)


def point(x: float, score: float) -> Keypoint:
    return Keypoint(x, 10, score, "bus")


def found(*points: Keypoint, shown: int, box: Box = LEFT) -> Detection:
    return Detection("bus", 0.9, points[:shown], 60, 60, box, candidates=points)


IN_LEFT = found(point(5, 0.9), point(7, 0.4), point(9, 0.3), shown=2)
# The first lies in both rectangles.
IN_RIGHT = found(point(18, 0.8), point(25, 0.7), point(30, 0.2), shown=2, box=RIGHT)


def scores(points: Sequence[Keypoint]) -> list[float]:
    return [each.score for each in points]


def test_all_rectangles_have_points_and_no_place_has_two() -> None:
    both = merged([IN_LEFT, IN_RIGHT], [LEFT, RIGHT])
    assert scores(both.keypoints) == [0.9, 0.7, 0.4]
    assert scores(both.candidates) == [0.9, 0.7, 0.4, 0.3, 0.2]
    assert (both.box, both.class_name) == (LEFT, "bus")


def test_one_rectangle_has_what_was_found_in_it() -> None:
    alone = merged([IN_LEFT], [LEFT])
    assert (alone.keypoints, alone.candidates) == (IN_LEFT.keypoints, IN_LEFT.candidates)


def test_a_rectangle_that_the_detector_rejects_harms_no_other() -> None:
    def detect(box: Box) -> Detection:
        if box == TINY:
            raise ValueError("expected a box of at least 8 px a side")
        return IN_RIGHT

    both = detect_in_others(detect, IN_LEFT, [LEFT, TINY, RIGHT])
    assert both == merged([IN_LEFT, IN_RIGHT], [LEFT, RIGHT])


def test_points_are_told_apart_by_their_rectangles() -> None:
    lost = point(50, 0.1)
    groups = points_of_each([*IN_RIGHT.candidates, *IN_LEFT.candidates, lost], [LEFT, RIGHT])
    assert [(number, scores(points)) for number, points in groups] == [
        (0, [0.9, 0.8, 0.4, 0.3, 0.1]),
        (1, [0.7, 0.2]),
    ]
    assert points_of_each(IN_LEFT.keypoints, []) == [(None, IN_LEFT.keypoints)]
