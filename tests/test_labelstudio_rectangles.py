"""Where the objects of a task are, and how a prediction repeats their rectangles."""

from typing import Any

from label_studio_fake import CONFIG

from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.rectangles import MOST_OBJECTS, rectangles_of, repeated
from backend.labelstudio.regions import box_of
from backend.labelstudio.schemas import Task
from model.keypoint import Box

CONTROL = keypoint_control(CONFIG)


def rectangle(x: float, number: str = "r1", **more: Any) -> dict[str, Any]:
    """A rectangle of ten percent a side."""
    value = {"x": x, "y": 10, "width": 10, "height": 10, "rectanglelabels": ["bird"]}
    return {
        "id": number,
        "from_name": "box",
        "to_name": CONTROL.to_name,
        "type": "rectanglelabels",
        "origin": "manual",
        "value": value,
        **more,
    }


def boxes(**parts: Any) -> list[Box]:
    sources = Task(id=1, **parts).box_sources()
    found = [each.box for each in rectangles_of(sources, CONTROL, 100, 100)]
    assert box_of(sources, CONTROL, 100, 100) == (found[0] if found else None)
    return found


def drawing(*regions: dict[str, Any], at: str = "2026") -> dict[str, Any]:
    return {"result": list(regions), "updated_at": at}


FIRST, SECOND = Box(0, 10, 10, 10), Box(50, 10, 10, 10)
BOTH = (rectangle(0), rectangle(50, "r2"))


def test_all_rectangles_of_the_newest_drawing_that_has_one_are_objects() -> None:
    assert boxes(drafts=[drawing(*BOTH)]) == [FIRST, SECOND]
    old, new, empty = drawing(*BOTH, at="1"), drawing(BOTH[1], at="2"), drawing(at="3")
    assert boxes(annotations=[old, new, empty]) == [SECOND]
    assert boxes(drafts=[drawing(BOTH[0])], annotations=[old]) == [FIRST]
    assert boxes() == []


def test_predictions_of_others_and_the_tasks_data_give_rectangles_too() -> None:
    assert boxes(predictions=[drawing(*BOTH)]) == [FIRST, SECOND]
    ours = drawing(*BOTH, {"id": "p", "type": "keypointlabels", "value": {}})
    assert boxes(predictions=[ours]) == []
    given = [{"x": 0, "y": 10, "width": 10, "height": 10}, {"x": 50, "y": 10, "width": 10}]
    assert boxes(data={"box": given}) == [FIRST]  # the second has no height
    assert boxes(data={"box": []}) == []


def test_the_stored_part_of_a_task_gives_the_same_rectangles() -> None:
    for parts in ({"drafts": [drawing(*BOTH)]}, {"predictions": [drawing(*BOTH)]}):
        stored = Task(id=1, **parts).box_sources().box_json()
        assert boxes(**stored) == [FIRST, SECOND]


def test_no_more_objects_are_looked_at_than_there_is_time_for() -> None:
    many = [rectangle(n % 90, str(n)) for n in range(MOST_OBJECTS + 5)]
    assert len(boxes(drafts=[drawing(*many)])) == MOST_OBJECTS


def test_a_prediction_repeats_rectangles_with_ids_of_its_own() -> None:
    """Else an annotation that only has the rectangle would count as begun from the prediction."""
    label = {**rectangle(50, "r2"), "from_name": "name", "type": "labels"}
    plain = {**rectangle(50, "r2"), "type": "rectangle", "parentID": "elsewhere", "score": 0.5}
    sources = Task(id=1, drafts=[drawing(BOTH[0], plain, label)]).box_sources()
    found = rectangles_of(sources, CONTROL, 100, 100)
    results, ids = repeated(found, "key")
    assert [each["id"] for each in results] == [ids[0], ids[1], ids[1]]
    assert len(set(ids)) == 2 and not {"r1", "r2"} & set(ids)
    assert [each["type"] for each in results] == ["rectanglelabels", "rectangle", "labels"]
    assert [each["value"]["x"] for each in results] == [0, 50, 50]
    assert not any({"origin", "parentID", "score"} & each.keys() for each in results)
    assert repeated(found, "key") == (results, ids)
    assert repeated(found, "another")[1] != ids


def test_a_box_of_the_tasks_data_is_no_region() -> None:
    given = {"x": 0, "y": 10, "width": 10, "height": 10}
    found = rectangles_of(Task(id=1, data={"box": given}).box_sources(), CONTROL, 100, 100)
    assert repeated(found, "key") == ([], [None])
