from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cvat_fake import TASK
from cvat_scene import Scene, scene
from rq import Queue

from backend.database.connection import Database
from backend.hosts.cvat_detection import ImageDetection
from backend.hosts.cvat_labels import declared_labels, point_labels
from backend.hosts.cvat_shapes import to_shapes
from backend.hosts.cvat_task import MOST_FRAMES
from backend.suggestions.storage import PredictionStorage
from model.decoding import decode


@pytest.fixture
def learnt(database: Database, queue: Queue, tmp_path: Path) -> Iterator[Scene]:
    """A task of five frames, of which three were corrected and learnt."""
    with scene(database, queue, tmp_path, frames=5) as birds:
        birds.fake.jobs[1]["stop"] = 2
        birds.fake.add_job(2, 3, 4)
        birds.push()
        for frame in range(3):
            birds.correct(frame)
        birds.fake.finish(1)
        birds.pull()
        birds.learn()
        yield birds


def test_what_was_corrected_in_cvat_names_the_points_on_the_next_frames(learnt: Scene) -> None:
    summary = learnt.push()
    assert summary.outcomes == {"done": 3, "replaced": 2}
    rows = PredictionStorage(learnt.database).of_task(TASK * MOST_FRAMES + 3, learnt.task().uid)
    newest = next(row for row in rows if row.model_version == summary.version)
    assert newest.detection is not None
    assert {point.label for point in newest.detection.named} == {"beak", "tail"}


def test_in_this_process_it_finds_what_the_workers_find_also_what_was_learnt(
    learnt: Scene,
) -> None:
    learnt.push()
    task = learnt.task()
    detection = ImageDetection(learnt.settings, learnt.database, task.labels, task.uid)
    for frame in (3, 4):
        regions = detection.regions(decode(learnt.fake.images[frame]))
        found = [
            (each.json["label_id"], *each.json["points"])
            for each in to_shapes(regions, task.labels)
        ]
        assert len(found) == 6  # two landmarks, and the four points of the class
        assert learnt.points_on(frame) == [
            (label, pytest.approx(x, abs=1e-4), pytest.approx(y, abs=1e-4)) for label, x, y in found
        ]


def test_without_a_project_nothing_learnt_is_used(learnt: Scene) -> None:
    labels: Any = point_labels(declared_labels(["beak", "tail"], None))
    detection = ImageDetection(learnt.settings, learnt.database, labels)
    assert len(detection.regions(decode(learnt.fake.images[3]))) == 4


def test_a_project_that_got_no_suggestions_yet_has_learnt_nothing(learnt: Scene) -> None:
    detection = ImageDetection(
        learnt.settings, learnt.database, learnt.task().labels, "cvat:elsewhere/task/1"
    )
    assert len(detection.regions(decode(learnt.fake.images[3]))) == 4
