from dataclasses import fields
from typing import Any

from learning_data import lesson

from backend.learning.diversity import most_diverse
from backend.learning.records import Example, Lesson
from model.keypoint import Box


def example(number: int, **values: Any) -> Example:
    taught = lesson(number, **values)
    return Example(
        **{field.name: getattr(taught, field.name) for field in fields(Lesson)},
        id=number,
        project_uid="3.1",
        annotation_id=number,
        status="ready",
        reason=None,
        round=1,
        attempts=1,
        key="key",
    )


def test_all_are_kept_where_they_are_few() -> None:
    few = [example(1), example(2)]
    assert most_diverse(few, 2) == few


def test_the_layouts_that_differ_most_are_kept_besides_the_newest() -> None:
    alike = [example(number, points={"a": (1.0, 1.0), "b": (2.0, 2.0)}) for number in range(8)]
    mirrored = example(20, points={"a": (40.0, 1.0), "b": (30.0, 2.0)})
    without_b = example(21, points={"a": (1.0, 1.0)})
    newest = example(22, points={"a": (1.0, 1.0), "b": (2.0, 2.0)})
    kept = most_diverse([*alike[:4], mirrored, *alike[4:], without_b, newest], 3)
    assert [each.id for each in kept] == [20, 21, 22]


def test_a_layout_is_measured_within_its_box() -> None:
    small = example(1, box=Box(0, 0, 10, 10), points={"a": (5.0, 5.0)})
    large = example(2, box=Box(20, 20, 20, 20), points={"a": (30.0, 30.0)})
    other = example(3, box=Box(0, 0, 10, 10), points={"a": (1.0, 1.0)})
    newest = example(4, box=Box(0, 0, 40, 40), points={"a": (20.0, 20.0)})
    assert [each.id for each in most_diverse([small, large, other, newest], 2)] == [3, 4]
