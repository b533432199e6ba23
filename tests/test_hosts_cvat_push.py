from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cvat_fake import BEAK, BIRD, FOOT, HEAD, TAIL, TASK, label
from cvat_scene import Scene, scene
from label_studio_fake import TOKEN as STUDIO_TOKEN
from label_studio_fake import UID as STUDIO_UID
from label_studio_fake import label_studio_fake
from loopback_server import Request
from rq import Queue

from backend.database.connection import Database, now
from backend.hosts.cvat_client import CvatError
from backend.hosts.cvat_task import MOST_FRAMES
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.suggestions import detection_job
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from model.keypoint import centre_to_edge


@pytest.fixture
def birds(database: Database, queue: Queue, tmp_path: Path) -> Iterator[Scene]:
    with scene(database, queue, tmp_path) as found:
        yield found


def changes(birds: Scene) -> list[Request]:
    return [each for each in birds.fake.requests if each.method == "PATCH"]


def test_every_frame_gets_shapes_with_score_and_occlusion_that_a_program_made(
    birds: Scene,
) -> None:
    summary = birds.push()
    assert summary.outcomes == {"new": 3}
    for frame in range(3):
        shapes = birds.fake.shapes_on(frame)
        assert len(shapes) == 4
        for shape in shapes:
            assert (shape["type"], shape["source"]) == ("points", "auto")
            assert shape["label_id"] in (BEAK, TAIL)
            assert 0 < shape["score"] <= 1
            assert (shape["occluded"], shape["outside"]) == (False, False)


def test_the_same_image_and_settings_give_the_same_points_as_in_label_studio(
    birds: Scene,
) -> None:
    """The positions are those that Label Studio gets, in px from the corner of the image."""
    birds.push()
    config = birds.task().labels.config()
    with label_studio_fake() as studio:
        studio.config = config
        birds.set(label_studio_url=studio.url, label_studio_api_key=STUDIO_TOKEN)
        ProjectStorage(birds.database).save_label_config(STUDIO_UID, config)
        task = studio.add_task(1, birds.fake.images[0])
        wanted = wanted_of(task, keypoint_control(config))
        assert wanted is not None
        version = birds.context.detectors.get().version
        storage = PredictionStorage(birds.database)
        [row] = storage.request(STUDIO_UID, version, [wanted], retry_failed_before=now())
        detection_job.predict(row.id)
        [stored] = studio.of_task(1)
    ids = {"beak": BEAK, "tail": TAIL}
    expected = [
        (
            ids[region["value"]["keypointlabels"][0]],
            pytest.approx(region["value"]["x"] / 100 * 64, abs=1e-4),
            pytest.approx(region["value"]["y"] / 100 * 48, abs=1e-4),
        )
        for region in stored["result"]
    ]
    assert len(expected) == 4
    assert birds.points_on(0) == expected


def test_a_second_push_changes_nothing(birds: Scene) -> None:
    birds.push()
    before, count = birds.fake.shapes[1], len(changes(birds))
    assert birds.push().outcomes == {"same": 3}
    assert birds.fake.shapes[1] == before
    assert len(changes(birds)) == count


def test_other_settings_replace_what_nobody_has_touched_and_leave_the_work_of_people(
    birds: Scene,
) -> None:
    birds.push()
    first, second, third = (birds.fake.shapes_on(frame) for frame in range(3))
    birds.fake.move(first[0]["id"], 3, 2)
    birds.fake.delete(second[0]["id"])
    left = [birds.fake.shapes_on(frame) for frame in (0, 1)]
    birds.set(detector_max_keypoints=2)  # another version of the model
    assert birds.push().outcomes == {"begun": 2, "replaced": 1}
    assert [birds.fake.shapes_on(frame) for frame in (0, 1)] == left
    replaced = birds.fake.shapes_on(2)
    assert len(replaced) == 2
    assert not {each["id"] for each in replaced} & {each["id"] for each in third}


def test_a_frame_on_which_somebody_drew_is_left_alone(birds: Scene) -> None:
    birds.fake.draw(1, 1, BEAK, 20, 20)
    assert birds.push().outcomes == {"new": 2, "begun": 1}
    assert len(birds.fake.shapes_on(1)) == 1


def test_shapes_that_cvat_cli_added_are_replaced_and_not_doubled(birds: Scene) -> None:
    birds.push()
    again = [
        {name: value for name, value in shape.items() if name not in ("id", "elements")}
        for shape in birds.fake.shapes_on(0)
    ]
    birds.cvat.change(1, "create", again)  # what a run of cvat-cli adds
    assert len(birds.fake.shapes_on(0)) == 8
    assert birds.push().outcomes == {"same": 2, "replaced": 1}
    assert len(birds.fake.shapes_on(0)) == 4


def test_shapes_of_other_labels_and_kinds_stay(birds: Scene) -> None:
    box = {"type": "rectangle", "label_id": 13, "frame": 0, "points": [1.0, 1.0, 9.0, 9.0]}
    birds.cvat.change(1, "create", [box | {"source": "auto"}])
    assert birds.push().outcomes == {"new": 3}
    assert [each["type"] for each in birds.fake.shapes_on(0)].count("rectangle") == 1


def test_a_job_that_is_finished_is_left_alone(birds: Scene) -> None:
    birds.fake.add_job(2, 2, 2)
    birds.fake.jobs[1]["stop"] = 1
    birds.fake.finish(2)
    assert birds.push().outcomes == {"new": 2, "done": 1}
    assert birds.fake.shapes_on(2) == []


def test_a_frame_of_two_jobs_gets_suggestions_in_both(birds: Scene) -> None:
    birds.fake.add_job(2, 2, 2)
    assert birds.push().outcomes == {"new": 4}
    assert len(birds.fake.shapes_on(2, job=1)) == len(birds.fake.shapes_on(2, job=2)) == 4
    assert birds.push().outcomes == {"same": 4}


def test_deleted_frames_get_nothing(birds: Scene) -> None:
    birds.fake.deleted_frames = [1]
    assert birds.push().outcomes == {"new": 2}
    assert birds.fake.shapes_on(1) == []


def test_who_begins_while_suggestions_are_made_is_not_disturbed(birds: Scene) -> None:
    def begin(request: Request) -> None:
        if request.path.startswith(f"/api/tasks/{TASK}/data/?type=frame") and not drawn:
            drawn.append(birds.fake.draw(1, 0, TAIL, 5, 5))

    drawn: list[int] = []
    birds.fake.meanwhile = begin
    assert birds.push().outcomes == {"begun": 1, "new": 2}
    assert [each["id"] for each in birds.fake.shapes_on(0)] == drawn


def test_what_somebody_changes_while_it_is_replaced_is_not_deleted(birds: Scene) -> None:
    def move(request: Request) -> None:
        if request.method == "PATCH" and request.path.endswith("action=create") and not moved:
            moved.append(birds.fake.shapes_on(2)[0]["id"])
            birds.fake.move(moved[0], 2, 2)

    birds.push()
    moved: list[int] = []
    birds.set(detector_max_keypoints=2)
    birds.fake.meanwhile = move
    birds.push()
    assert [len(birds.fake.shapes_on(frame)) for frame in range(3)] == [2, 2, 3]
    assert moved[0] in {each["id"] for each in birds.fake.shapes_on(2)}


def test_a_frame_with_nothing_worth_showing_gets_nothing_and_is_known(birds: Scene) -> None:
    birds.set(suggest="learnt")
    assert birds.push().outcomes == {"empty": 3}
    assert birds.fake.shapes[1] == []
    assert birds.push().outcomes == {"same": 3}


def test_only_the_chosen_labels_are_used(birds: Scene) -> None:
    birds.push("tail")
    assert {each["label_id"] for each in birds.fake.shapes[1]} == {TAIL}


def test_suggestions_are_withheld_from_the_share_that_the_settings_say(birds: Scene) -> None:
    birds.set(holdout_share=1.0)
    assert birds.push().outcomes == {"withheld": 3}
    assert birds.fake.shapes[1] == []


def test_an_image_that_cannot_be_read_fails_alone_and_says_why(birds: Scene) -> None:
    good = birds.fake.images[1]
    task = birds.task()
    birds.fake.images[1] = b"no image"
    birds.task = lambda *_: task  # type: ignore[method-assign]
    summary = birds.push()
    assert summary.outcomes == {"new": 2, "failed": 1}
    [reason] = summary.reasons
    assert "expected an image" in reason
    birds.fake.images[1] = good
    assert birds.push().outcomes == {"same": 2, "new": 1}


def test_workers_without_access_to_cvat_say_what_to_set(birds: Scene) -> None:
    birds.set(cvat_url=None)
    summary = birds.push()
    assert summary.outcomes == {"failed": 3}
    [reason] = summary.reasons
    assert "CVAT_URL or CVAT_ACCESS_TOKEN is not set" in reason


def test_what_fails_while_it_goes_up_leaves_no_half_frame_and_the_next_push_mends_it(
    birds: Scene,
) -> None:
    birds.push()
    birds.set(detector_max_keypoints=2)
    birds.fake.fails[("PATCH", "/api/jobs/1/annotations/?action=delete")] = 1
    with pytest.raises(CvatError, match="got status 500"):
        birds.push()
    birds.push()
    assert [len(birds.fake.shapes_on(frame)) for frame in range(3)] == [2, 2, 2]


def test_nothing_is_uploaded_where_the_upload_fails(birds: Scene) -> None:
    birds.fake.fails[("PATCH", "/api/jobs/1/annotations/?action=create")] = 1
    with pytest.raises(CvatError, match="got status 500"):
        birds.push()
    assert birds.fake.shapes[1] == []
    assert birds.push().outcomes == {"new": 3}


def test_the_frames_are_tasks_of_a_project_that_is_named_after_its_place(birds: Scene) -> None:
    birds.push()
    uid = f"cvat:{urlsplit(birds.fake.url).netloc}/task/{TASK}"
    assert ProjectStorage(birds.database).project_uids() == [uid]
    [row] = PredictionStorage(birds.database).of_task(TASK * MOST_FRAMES + 1, uid)
    assert row.image_url.endswith("/data/?type=frame&quality=original&number=1#bird-1.jpg")
    assert row.delivery is not None
    ids = [int(region["id"]) for region in row.delivery.sent["result"]]
    assert ids == [each["id"] for each in birds.fake.shapes_on(1)]


def test_a_skeleton_has_an_element_for_each_label_and_what_is_absent_is_outside(
    database: Database, queue: Queue, tmp_path: Path
) -> None:
    with scene(database, queue, tmp_path, frames=1, skeleton=True) as birds:
        birds.push()
        [whole] = birds.fake.shapes_on(0)
        assert (whole["type"], whole["label_id"], whole["source"]) == ("skeleton", BIRD, "auto")
        elements = {each["label_id"]: each for each in whole["elements"]}
        assert elements.keys() == {HEAD, FOOT}
        assert [elements[each]["outside"] for each in (HEAD, FOOT)] == [False, True]
        assert all(each["source"] == "auto" for each in whole["elements"])
        assert birds.push().outcomes == {"same": 1}
        birds.fake.move(elements[HEAD]["id"], 1, 1)
        assert birds.push().outcomes == {"begun": 1}


def test_a_task_without_a_label_of_keypoints_says_what_to_add(birds: Scene) -> None:
    birds.fake.labels = [label(13, "box", "rectangle")]
    with pytest.raises(CvatError, match=r"of type points or skeleton in CVAT, got box \(rectangle"):
        birds.push()


def test_positions_count_from_the_corner_of_the_image(birds: Scene) -> None:
    birds.push()
    [row] = PredictionStorage(birds.database).of_task(TASK * MOST_FRAMES)
    assert row.detection is not None
    first = row.detection.keypoints[0]
    assert birds.points_on(0)[0][1:] == (
        pytest.approx(centre_to_edge(first.x), abs=1e-4),
        pytest.approx(centre_to_edge(first.y), abs=1e-4),
    )
