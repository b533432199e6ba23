"""Predictions in Label Studio are changed where nobody has begun, whatever fails on the way."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake, label_studio_fake
from prediction_rows import DETECTION, VERSION, fetched, let_time_pass
from rq import Queue

from backend.database.connection import Database, now
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.settings import Settings
from backend.suggestions.answers import PredictService
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from model.keypoint import Keypoint

POINTS = tuple(Keypoint(10.0 * n, 5.0 * n, 1 / n, "bus") for n in range(1, 9))
FOUND = replace(DETECTION, keypoints=POINTS[:4], candidates=POINTS)


class Scene:
    """A task whose prediction was delivered, with four points."""

    def __init__(self, fake: LabelStudioFake, database: Database, queue: Queue) -> None:
        self.fake, self.database = fake, database
        self.settings = Settings(
            label_studio_url=fake.url,
            label_studio_api_key=TOKEN,
            predict_wait_one=0,
            suggest="always",
        )
        self.service = DeliveryService(self.settings, database, LabelStudios(self.settings))
        self.web = PredictService(self.settings, database, queue, lambda uid: VERSION)
        ProjectStorage(database).save_label_config(UID, CONFIG)
        self.task = fake.add_task(1, b"")
        wanted = wanted_of(self.task, keypoint_control(CONFIG))
        assert wanted is not None
        [row] = PredictionStorage(database).request(
            UID, VERSION, [wanted], retry_failed_before=now()
        )
        self.id = row.id
        PredictionStorage(database).finish(row.id, FOUND)
        self.service.deliver_due(10)

    def show(self, count: int) -> None:
        settings = ProjectSettings(max_keypoints=count)
        ProjectStorage(self.database).save_settings(UID, settings)

    @property
    def row(self) -> Prediction:
        return fetched(self.database, self.id)

    @property
    def stored(self) -> dict[str, Any]:
        """The one prediction that Label Studio has."""
        [found] = self.fake.of_task(1)
        return found

    @property
    def latest(self) -> tuple[int, str, int, bool]:
        """Number, way and points of the latest delivery, and whether it is confirmed."""
        delivery = self.row.delivery
        assert delivery is not None
        points = len(delivery.sent["result"])
        return delivery.number, delivery.way, points, delivery.confirmed_at is not None

    def later(self) -> None:
        """Let a worker deliver what is due, after every lease has ended."""
        let_time_pass(self.database, self.id)
        self.service.deliver_due(10)


@pytest.fixture
def scene(any_database: Database, queue: Queue) -> Iterator[Scene]:
    with label_studio_fake() as fake:
        yield Scene(fake, any_database, queue)


def test_a_prediction_becomes_what_the_settings_show_and_keeps_its_key(scene: Scene) -> None:
    key, before = scene.stored["id"], scene.stored["result"]
    scene.show(6)
    assert scene.service.change(scene.id) == "changed"
    assert (scene.stored["id"], len(scene.stored["result"])) == (key, 6)
    assert scene.stored["result"][:4] == before
    assert scene.stored["model_version"] == VERSION
    assert scene.latest == (2, "change", 6, True)
    assert scene.row.delivery.label_studio_id == key  # type: ignore[union-attr]
    assert scene.row.check_at is None


def test_what_is_the_same_already_is_not_sent(scene: Scene) -> None:
    assert scene.service.change(scene.id) == "same"
    scene.show(4)
    assert scene.service.change(scene.id) == "same"
    assert scene.latest == (1, "push", 4, True)
    assert scene.fake.asked("PATCH", f"/api/predictions/{scene.stored['id']}/") == []


@pytest.mark.parametrize("by", ["annotation", "skip", "draft"])
def test_where_someone_has_begun_nothing_is_changed(scene: Scene, by: str) -> None:
    if by == "draft":  # of any annotator, whom the token's user need not be
        scene.fake.drafts[1] = [{"id": 1, "user": "anna@example.com", "result": []}]
    else:
        scene.fake.annotate(1, "bus", was_cancelled=by == "skip")
    scene.show(6)
    assert scene.service.change(scene.id) == "begun"
    assert len(scene.stored["result"]) == 4
    assert scene.latest == (1, "push", 4, True)


def test_a_prediction_of_the_same_version_that_is_not_ours_stays(scene: Scene) -> None:
    scene.stored["result"] = [{"id": "another"}]
    scene.show(6)
    assert scene.service.change(scene.id) == "foreign"
    assert scene.stored["result"] == [{"id": "another"}]


def test_a_prediction_that_was_deleted_there_is_delivered_anew(scene: Scene) -> None:
    scene.fake.forget()
    scene.show(6)
    assert scene.service.change(scene.id) == "changed"
    assert len(scene.stored["result"]) == 6
    assert scene.latest == (2, "push", 6, True)


def test_what_another_process_is_delivering_is_left_to_it(scene: Scene) -> None:
    lease = DeliveryStorage(scene.database).acquire(scene.id, 60, only_if_due=False)
    assert lease is not None
    scene.show(6)
    assert scene.service.change(scene.id) == "busy"
    assert len(scene.stored["result"]) == 4


def test_a_change_that_fails_is_made_by_a_worker_later(scene: Scene) -> None:
    scene.show(6)
    scene.fake.loses_changes = True
    with pytest.raises(LabelStudioError, match="500"):
        scene.service.change(scene.id)
    assert scene.latest == (2, "change", 6, False)
    scene.fake.loses_changes = False
    scene.later()
    assert len(scene.stored["result"]) == 6
    assert scene.latest == (2, "change", 6, True)


def test_a_change_that_was_made_although_it_failed_is_not_made_twice(scene: Scene) -> None:
    scene.show(6)
    scene.fake.fails_after_storing = 1
    with pytest.raises(LabelStudioError):
        scene.service.change(scene.id)
    scene.later()
    path = f"/api/predictions/{scene.stored['id']}/"
    assert len(scene.fake.asked("PATCH", path)) == 1
    assert scene.latest == (2, "change", 6, True)


def test_where_someone_began_before_the_change_was_made_what_they_see_is_recorded(
    scene: Scene,
) -> None:
    scene.show(6)
    scene.fake.loses_changes = True
    with pytest.raises(LabelStudioError):
        scene.service.change(scene.id)
    scene.fake.loses_changes = False
    scene.fake.annotate(1, "bus")
    scene.later()
    assert len(scene.stored["result"]) == 4
    assert scene.latest == (3, "found", 4, True)


def test_a_further_change_first_finishes_the_one_before(scene: Scene) -> None:
    scene.show(6)
    scene.fake.loses_changes = True
    with pytest.raises(LabelStudioError):
        scene.service.change(scene.id)
    scene.fake.loses_changes = False
    let_time_pass(scene.database, scene.id)
    scene.show(2)
    assert scene.service.change(scene.id) == "changed"
    assert len(scene.stored["result"]) == 2
    assert scene.latest == (3, "change", 2, True)


def test_a_reply_leaves_a_change_that_is_not_finished_to_workers(scene: Scene) -> None:
    """What Label Studio has then may be one thing or the other."""
    scene.show(6)
    scene.fake.loses_changes = True
    with pytest.raises(LabelStudioError):
        scene.service.change(scene.id)
    scene.fake.loses_changes = False
    let_time_pass(scene.database, scene.id)
    project = ProjectStorage(scene.database).project(UID)
    assert project is not None
    assert scene.web.answer(project, keypoint_control(CONFIG), [scene.task]) == [[]]
    assert scene.latest == (2, "change", 6, False)
    scene.service.deliver_due(10)
    assert scene.latest == (2, "change", 6, True)
