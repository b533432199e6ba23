import math
from typing import Any

from backend.verdicts.drawn import Point
from backend.verdicts.joining import join


def point(region_id: str | None, x: float, label: str = "car", **more: Any) -> Point:
    return Point(region_id, x, 0.0, label, None, **more)


def joined(suggested: list[Point], final: list[Point], **more: Any) -> list[int | None]:
    """For each suggestion the place of its final point."""
    options: dict[str, Any] = {"made_from_it": True, "radius": 10.0} | more
    pairs = join(suggested, final, **options)
    assert [one for one, _ in pairs] == suggested
    return [None if other is None else final.index(other) for _, other in pairs]


def test_the_same_id_joins_however_far_a_point_was_moved():
    assert joined([point("a", 0), point("b", 5)], [point("b", 900), point("a", 3)]) == [1, 0]


def test_points_without_an_id_are_paired_within_the_radius_alone():
    final = [point(None, 10), point(None, math.nextafter(110, 111))]
    assert joined([point("a", 0), point("b", 100)], final) == [0, None]


def test_an_equal_label_goes_before_a_shorter_distance():
    suggested = [point("a", 0, "nose"), point("b", 4, "tail")]
    assert joined(suggested, [point(None, 3, "nose"), point(None, 1, "tail")]) == [0, 1]


def test_what_no_equal_label_takes_is_paired_whatever_its_label():
    assert joined([point("a", 0, "nose")], [point(None, 3, "tail")]) == [0]


def test_foreign_ids_are_paired_by_distance_only_if_no_id_is_shared():
    foreign = point("z", 1)
    assert joined([point("a", 0)], [foreign], made_from_it=False) == [0]
    assert joined([point("a", 0), point("b", 50)], [foreign, point("b", 50)]) == [None, 1]


def test_a_point_drawn_by_hand_on_the_suggestions_is_a_new_one():
    drawn = point("z", 1, by_hand=True)
    assert joined([point("a", 0)], [drawn]) == [None]
    assert joined([point("a", 0)], [drawn], made_from_it=False) == [0]


def test_of_two_points_with_one_id_the_first_is_joined():
    assert joined([point("a", 0)], [point("a", 1), point("a", 0)]) == [0]
