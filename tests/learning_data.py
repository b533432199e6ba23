"""Lessons and examples for tests of the learning."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from waiting_rows import queued

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.learning.backbones import Backbone
from backend.learning.looks import describe_example
from backend.learning.named_points import NamedPoints
from backend.learning.records import WHOLE_IMAGE, Described, Example, Lesson
from backend.learning.storage import ExampleStorage, replace_lessons

UID = "3.1795347724"
OTHER_UID = "4.1795347724"
BASE = "small-0123456789"
KEY = "backbone-a"
LIMIT = 200
MADE = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def lesson(task_id: int = 1, **values: Any) -> Lesson:
    """What an annotation of a task says, unless some of it is given."""
    defaults: dict[str, Any] = {
        "object": WHOLE_IMAGE,
        "task_id": task_id,
        "image_url": f"/data/upload/3/image-{task_id}.png",
        "width": 64,
        "height": 48,
        "box": None,
        "class_name": "bus",
        "points": {"nose": (10.0 + task_id, 20.0)},
        "absent": ("tail",),
        "drawn": None,
    }
    return Lesson(**(defaults | values))


def teach(
    database: Database,
    annotation_id: int,
    *lessons: Lesson,
    uid: str = UID,
    limit: int = LIMIT,
    made_at: datetime = MADE,
) -> None:
    """Make the examples of an annotation exactly these."""
    if ProjectStorage(database).project(uid) is None:
        ProjectStorage(database).save_label_config(uid, "<View/>")
    current = {made_at: list(lessons)} if lessons else {}
    with database.writing() as connection:
        replace_lessons(connection, uid, annotation_id, current, limit=limit)


def extract(
    database: Database, *, key: str = KEY, limit: int = LIMIT, features: bytes = b"features"
) -> int:
    """Do the work of a learning worker for every example that waits; how many there were."""
    storage = ExampleStorage(database, limit=limit)
    waiting = queued(storage)
    for example_id, _ in waiting:
        example = storage.start_attempt(example_id)
        assert example is not None
        described = Described(features + str(example_id).encode())
        assert storage.finish(example, key, described)
    return len(waiting)


def looked_at(
    named: NamedPoints, backbone: Backbone, example: Example, picture: NDArray[np.uint8]
) -> Described:
    """Look at an example as the learning job does."""
    region = partial(named.current_region, backbone, example.project_uid)
    points = list(example.points.values())
    return describe_example(backbone.extractor, picture, example.box, points, region)


def learn(
    database: Database, *tasks: int, uid: str = UID, base: str = BASE, limit: int = LIMIT
) -> None:
    """Teach and learn one annotation of each task; the annotation's id is the task's."""
    from backend.learning.step_storage import StepStorage

    for task in tasks:
        teach(database, task, lesson(task), uid=uid, limit=limit)
    StepStorage(database, limit=limit).adopt(uid, base, KEY)
    extract(database, limit=limit)
