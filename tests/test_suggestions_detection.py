from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from image_pairs import PAIR, SIDES
from label_studio_fake import CONFIG, PROJECT, UID, label_studio_fake
from rq import Queue
from test_suggestions_detection_job import (
    VERSION,
    Scene,
    encoded,
)
from test_suggestions_detection_job import detector as detector

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.suggestions import detection_job
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from model.detector import Detector

CONTROL = keypoint_control(PAIR)
PIXELS = {
    "left": np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8),
    "right": np.random.default_rng(2).integers(0, 256, (80, 40, 3), dtype=np.uint8),
}


def path_of(side: str, number: int = 1) -> str:
    return f"/data/upload/{PROJECT}/{side}-{number}.png"


class PairScene(Scene):
    """Tasks with two images."""

    def ask_pair(self, number: int = 1, **more: Any) -> int:
        task = self.fake.add_task(number, b"")
        task["data"] = {side: path_of(side, number) for side in SIDES} | more
        for side in SIDES:
            self.fake.files[path_of(side, number)] = encoded(PIXELS[side])
        wanted = wanted_of(task, CONTROL)
        assert wanted is not None
        [row] = PredictionStorage(self.database).request(
            UID, VERSION, [wanted], retry_failed_before=now()
        )
        return row.id


@pytest.fixture
def scene(
    database: Database,
    queue: Queue,
    detector: Detector,
) -> Iterator[PairScene]:
    with label_studio_fake() as fake:
        fake.config = PAIR
        scene = PairScene(fake, database, queue, detector)
        ProjectStorage(database).save_label_config(UID, PAIR)
        yield scene
    detection_job.set_job_context(None)


def places_of(regions: list[dict[str, Any]]) -> list[tuple[float, float]]:
    points = [each["value"] for each in regions if each["type"] == "keypointlabels"]
    return [(each["x"], each["y"]) for each in points]


def sides_of(regions: list[dict[str, Any]]) -> set[str]:
    return {each["to_name"] for each in regions}


def test_a_task_with_two_images_gets_one_prediction_about_both(
    scene: PairScene,
    detector: Detector,
) -> None:
    row = scene.ask_pair()
    scene.work(row)
    [stored] = scene.fake.of_task(1)
    points = [each for each in stored["result"] if each["type"] == "keypointlabels"]
    sizes = {(each["to_name"], each["original_width"], each["original_height"]) for each in points}
    assert sizes == {("left", 64, 48), ("right", 40, 80)}
    assert len({each["id"] for each in stored["result"]}) == len(stored["result"])
    found = scene.row(row)
    assert (found.status, found.attempts) == ("ready", 1)
    assert [each.detection for each in found.images] == [
        detector.detect(PIXELS[side]) for side in SIDES
    ]
    fetched = [each.path for each in scene.fake.requests if "/upload/" in each.path]
    assert fetched == [path_of(side) for side in SIDES]


@pytest.mark.parametrize("broken", SIDES)
@pytest.mark.parametrize(
    ("content", "reason"), [(None, "404"), (encoded(PIXELS["left"])[:200], "cut short")]
)
def test_an_image_that_cannot_be_read_leaves_the_other_its_suggestions(
    scene: PairScene, broken: str, content: bytes | None, reason: str
) -> None:
    row = scene.ask_pair()
    if content is None:
        del scene.fake.files[path_of(broken)]
    else:
        scene.fake.files[path_of(broken)] = content
    scene.work(row)
    [stored] = scene.fake.of_task(1)
    assert sides_of(stored["result"]) == set(SIDES) - {broken}
    found = {each.to_name: each for each in scene.row(row).images}
    assert reason in (found[broken].reason or "")
    assert [found[side].reason for side in SIDES if side != broken] == [None]


def test_a_task_none_of_whose_images_can_be_read_fails_with_the_reason_of_the_first(
    scene: PairScene,
) -> None:
    row = scene.ask_pair()
    del scene.fake.files[path_of("left")]
    scene.fake.files[path_of("right")] = b"this is a text"
    scene.work(row)
    found = scene.row(row)
    assert (found.status, found.images) == ("failed", ())
    assert "404" in (found.reason or "")


@pytest.mark.parametrize("away", SIDES)
def test_a_task_waits_for_the_host_of_either_image(scene: PairScene, away: str) -> None:
    row = scene.ask_pair()
    scene.fake.unavailable = {path_of(away)}
    scene.work(row)
    found = scene.row(row)
    assert (found.status, found.attempts, found.retry_at is None) == ("queued", 0, False)
    assert scene.fake.of_task(1) == []


def test_the_same_points_are_found_as_on_the_only_image_of_a_task(scene: PairScene) -> None:
    scene.work(scene.ask_pair())
    [stored] = scene.fake.of_task(1)
    ProjectStorage(scene.database).save_label_config(UID, CONFIG)
    for number, side in enumerate(SIDES, 2):
        scene.work(scene.ask(number, encoded(PIXELS[side])))
        [alone] = scene.fake.of_task(number)
        own = [each for each in stored["result"] if each["to_name"] == side]
        assert places_of(own) == places_of(alone["result"]) != []


def test_it_is_not_delivered_to_a_task_that_shows_another_second_image(scene: PairScene) -> None:
    row = scene.ask_pair()
    scene.fake.tasks[1]["data"]["right"] = "/another.png"
    scene.work(row)
    assert scene.fake.of_task(1) == []
    assert "shows another one" in (scene.row(row).reason or "")
