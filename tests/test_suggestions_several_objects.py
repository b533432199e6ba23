from backend.labelstudio.rectangles import Rectangle
from backend.learning.named_points import Landmarks
from backend.suggestions.objects import (
    StoredObject,
    landmarks_by_object,
    objects_from_json,
    objects_to_json,
)
from backend.suggestions.several_objects import landmarks_of_each
from model.keypoint import Box, NamedKeypoint

LEFT, RIGHT = Box(0, 0, 10, 10), Box(20, 0, 10, 10)
NOSE, TAIL = (NamedKeypoint(1, 2, 0.8, label, 0.9) for label in ("nose", "tail"))


def test_each_box_has_a_set_of_landmarks() -> None:
    known = {LEFT: Landmarks((NOSE, TAIL), {"place": 2}), RIGHT: Landmarks((NOSE,), {"place": 2})}
    found = landmarks_of_each(lambda box: known[box] if box else Landmarks(), [LEFT, RIGHT])
    assert found.points == (NOSE, TAIL, NOSE)
    assert (found.counts, found.costs) == ((2, 1), {"place": 2})
    assert landmarks_of_each(lambda _: Landmarks(), [None]).points == ()


def test_stored_objects_are_read_as_they_were() -> None:
    objects = [StoredObject(Rectangle(LEFT, ({"id": "r"},)), 2), StoredObject(Rectangle(RIGHT), 1)]
    assert objects_from_json(objects_to_json(objects)) == objects
    split = list(landmarks_by_object((NOSE, TAIL, NOSE), objects))
    assert split == [(0, (NOSE, TAIL)), (1, (NOSE,))]
    assert list(landmarks_by_object((NOSE,), [])) == [(None, (NOSE,))]
