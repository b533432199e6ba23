from collections.abc import Iterator

import pytest
from cvat_fake import TASK, TOKEN, CvatFake, cvat_fake
from cvat_scene import pictures

from backend.hosts.cvat_client import Cvat, CvatError
from backend.hosts.cvat_schemas import Annotations, Task
from backend.hosts.cvat_task import load_task, shapes_by_frame, uid_of
from backend.labelstudio.projects import project_id_of
from backend.labelstudio.shapes import LONGEST_UID


@pytest.fixture
def birds() -> Iterator[CvatFake]:
    with cvat_fake(pictures(3)) as fake:
        yield fake


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"mode": "interpolation"}, "task 7 has a video: make a task of its frames as images"),
        ({"data_original_chunk_type": "video"}, "task 7 has a video"),
        ({"dimension": "3d"}, "task 7 has 3D data"),
        ({"size": 0}, "task 7 has none: upload them"),
    ],
)
def test_a_task_of_anything_but_images_is_refused(birds, facts, expected):
    birds.task = facts
    with pytest.raises(CvatError, match=expected):
        load_task(Cvat(birds.url, TOKEN), TASK)
    assert not any(each.method == "PATCH" for each in birds.requests)


def test_tasks_of_one_project_learn_together():
    of_project = [Task(id=number, project_id=4) for number in (7, 8)]
    assert {uid_of("http://cvat:8080", each) for each in of_project} == {"cvat:cvat:8080/project/4"}
    alone = {uid_of("http://cvat:8080", Task(id=number)) for number in (7, 8)}
    assert alone == {"cvat:cvat:8080/task/7", "cvat:cvat:8080/task/8"}


def test_a_uid_fits_its_column_and_is_no_number_of_label_studio():
    uid = uid_of(f"https://{'long.' * 30}example.org/cvat", Task(id=7))
    assert len(uid) <= LONGEST_UID
    assert project_id_of(uid) is None


def test_a_frame_where_a_track_begins_is_marked(birds):
    labels = load_task(Cvat(birds.url, TOKEN), TASK).labels
    found = shapes_by_frame(Annotations(shapes=[], tracks=[{"frame": 2, "id": 1}]), labels)
    assert {number for number, here in found.items() if here.has_track} == {2}
