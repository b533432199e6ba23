from verdict_data import detection

from backend.learning.records import WHOLE_IMAGE, Lesson
from backend.verdicts.lessons import FinalPoint, FinalState, lessons_of
from model.keypoint import Box, Detection

LABELS = ("nose", "tail", "ear")


def state(
    *points: FinalPoint,
    objects: tuple[Box, ...] = (),
    found: Detection | None = None,
    box: Box | None = None,
) -> FinalState:
    return FinalState(1, "/image.png", found or detection(), box, objects, points)


def lessons(one: FinalState) -> list[Lesson]:
    return list(lessons_of(one, LABELS))


def test_named_points_are_learnt_and_unused_labels_are_absent() -> None:
    [lesson] = lessons(
        state(FinalPoint("nose", 10, 20, None), FinalPoint("tail", 70, 30, None)),
    )
    assert lesson.points == {"nose": (10, 20), "tail": (70, 30)}
    assert lesson.absent == ("ear",)
    assert (lesson.object, lesson.box, lesson.class_name) == (WHOLE_IMAGE, None, "car")
    assert (lesson.width, lesson.height, lesson.image_url) == (100, 100, "/image.png")


def test_a_label_that_occurs_twice_is_neither_learnt_nor_absent() -> None:
    [lesson] = lessons(
        state(
            FinalPoint("nose", 10, 20, None),
            FinalPoint("ear", 1, 1, None),
            FinalPoint("ear", 90, 1, None),
        )
    )
    assert lesson.points == {"nose": (10, 20)}
    assert lesson.absent == ("tail",)


def test_points_that_all_have_one_label_teach_nothing() -> None:
    assert lessons(state(FinalPoint("car", 1, 2, None), FinalPoint("car", 3, 4, None))) == []
    assert lessons(state(FinalPoint("", 1, 2, None))) == []
    assert lessons(state()) == []


def test_each_rectangle_is_an_object_and_points_outside_are_left_out() -> None:
    boxes = (Box(0, 0, 40, 40), Box(50, 50, 40, 40), Box(0, 90, 5, 5))
    first, second = lessons(
        state(
            FinalPoint("nose", 10, 20, 0),
            FinalPoint("nose", 60, 70, 1),
            FinalPoint("tail", 80, 80, 1),
            FinalPoint("ear", 99, 1, None),
            objects=boxes,
        )
    )
    assert (first.object, first.box, dict(first.points)) == (0, boxes[0], {"nose": (10, 20)})
    assert second.points == {"nose": (60, 70), "tail": (80, 80)}
    assert second.absent == ("ear",)


def test_a_rectangle_that_the_task_names_is_the_box() -> None:
    searched = detection(box=Box(10, 10, 50, 60))
    points = FinalPoint("nose", 20, 20, None), FinalPoint("tail", 40, 30, None)
    [lesson] = lessons(state(*points, found=searched, box=Box(10, 10, 50, 60)))
    assert lesson.box == Box(10, 10, 50, 60)


def test_without_a_rectangle_the_object_is_to_be_found() -> None:
    searched = detection(box=Box(10, 10, 50, 60))
    points = FinalPoint("nose", 20, 20, None), FinalPoint("tail", 40, 30, None)
    [lesson] = lessons(state(*points, found=searched))
    assert lesson.box is None


def test_where_a_single_point_is_tells_the_part_that_was_searched() -> None:
    searched = detection(box=Box(10, 10, 50, 60))
    [lesson] = lessons(state(FinalPoint("nose", 20, 20, None), found=searched))
    assert lesson.box == Box(10, 10, 50, 60)


def test_a_point_with_a_label_that_was_removed_is_kept() -> None:
    [lesson] = lessons(state(FinalPoint("wing", 20, 20, None)))
    assert lesson.points == {"wing": (20, 20)}
    assert lesson.absent == LABELS


def test_visibility_is_learnt_of_the_points_that_are_learnt() -> None:
    [lesson] = lessons(
        state(
            FinalPoint("nose", 10, 20, None, "occluded"),
            FinalPoint("tail", 30, 20, None),
            FinalPoint("ear", 1, 1, None, "occluded"),
            FinalPoint("ear", 90, 1, None, "visible"),
        )
    )
    assert lesson.visibility == {"nose": "occluded"}
    [without] = lessons(
        state(
            FinalPoint("nose", 10, 20, None),
            FinalPoint("tail", 30, 20, None),
            FinalPoint("ear", 1, 1, None),
            FinalPoint("ear", 90, 1, None),
        )
    )
    assert lesson.digest != without.digest
