"""What users get wrong, or what changes under them: a clear state, and nothing is lost.

Images that are gone, damaged or replaced are in `test_learning_learn_job`, labels that nobody
corrected in `test_suggestions_presentation`.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from learning_data import BASE, LIMIT, UID, lesson, looked_at, teach
from numpy.typing import NDArray
from test_learning_named_points import SIDE, picture
from waiting_rows import queued

from backend.database.connection import Database
from backend.learning.backbones import Backbones
from backend.learning.looks import looks_at
from backend.learning.named_points import NamedPoints
from backend.learning.records import Step
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from model.keypoint import Box, NamedKeypoint
from model.networks import SMALL, Classifier, build_network

pytestmark = pytest.mark.usefixtures("one_thread")
ANOTHER = "another-0123456789"
LABELS = ("disc", "square")


def network(seed: int) -> Classifier:
    torch.manual_seed(seed)
    half = (0.5, 0.5, 0.5)
    return Classifier(build_network(SMALL, 2), SMALL, ("bus", "van"), 64, half, half)


class Scene:
    """A project whose worker learns at once what is taught."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.steps = StepStorage(database, limit=LIMIT)
        self.examples = ExampleStorage(database, limit=LIMIT)
        self.named = NamedPoints(Settings(), database)
        self.backbone = Backbones().of(BASE, network(0))
        self.pictures: dict[int, NDArray[np.uint8]] = {}

    def teach(self, task: int, annotation: int | None = None, **values: Any) -> None:
        """Correct a drawn image; the points are the true ones unless others are given."""
        self.pictures[task], points = picture(task)
        facts = {"points": points, "absent": (), "width": SIDE, "height": SIDE} | values
        teach(self.database, annotation or task, lesson(task, **facts), uid=UID)

    def work(self) -> int:
        """Do the work of a learning worker, and return how many examples there were."""
        key = self.backbone.extractor.key
        self.steps.adopt(UID, self.backbone.version, key)
        waiting = queued(self.examples)
        for number, _ in waiting:
            example = self.examples.start_attempt(number)
            assert example is not None
            if example.task_id in self.pictures:
                picture = self.pictures[example.task_id]
                described = looked_at(self.named, self.backbone, example, picture)
                assert self.examples.finish(example, key, described)
            else:
                self.examples.fail(number, "got status 404")
        return len(waiting)

    @property
    def step(self) -> Step:
        step = self.steps.current(UID, self.backbone.version)
        assert step is not None
        return step

    def find(self, labels: tuple[str, ...] = LABELS) -> dict[str, NamedKeypoint]:
        image, _ = picture(99)
        version = self.steps.version(UID, self.backbone.version)
        looks = looks_at(self.backbone.extractor, image, None, None)
        found = self.named.find(self.backbone, UID, version, looks, labels)
        for point in found.points:
            assert all(map(math.isfinite, (point.x, point.y)))
            assert 0 <= point.score <= point.visible_probability <= 1
        return {point.label: point for point in found.points}


@pytest.fixture
def scene(any_database: Database) -> Iterator[Scene]:
    yield Scene(any_database)


def test_a_label_that_was_renamed_or_removed_counts_again_when_it_comes_back(scene: Scene) -> None:
    for task in (1, 2, 3):
        scene.teach(task)
    scene.work()
    before, version = scene.find(), scene.step.version
    assert scene.find(("disc", "new name")).keys() == {"disc"}
    assert scene.find(()) == {}
    assert (scene.find(), scene.step.version) == (before, version)


def test_an_image_that_is_gone_after_it_was_learnt_stays_learnt(scene: Scene) -> None:
    for task in (1, 2, 3, 4):
        scene.teach(task)
    scene.work()
    before = scene.find()
    del scene.pictures[4]
    assert scene.work() == 0
    assert scene.find() == before
    # Learning everything anew goes without it, and says why.
    scene.examples.extract_again(UID)
    scene.work()
    status = scene.examples.status(UID, BASE)
    assert (status.learnt, status.failed, status.in_use) == (3, 1, 3)
    assert status.failures == {"got status 404": 1}
    assert scene.find().keys() == {"disc", "square"}


def test_contradicting_annotators_make_what_they_disagree_on_less_certain(scene: Scene) -> None:
    """Both are examples: nobody knows here who is right."""
    for task in range(1, 9):
        scene.teach(task)
    scene.work()
    agreed = scene.find()
    for task in range(1, 9):
        _, true = picture(task)
        wrong = {"disc": (SIDE - true["disc"][0], 5.0 + 10 * (task % 8)), "square": true["square"]}
        scene.teach(task, 100 + task, points=wrong)
    for task in range(9, 13):  # the next step has them
        scene.teach(task)
    scene.work()
    assert (scene.step.images, len(scene.step.members)) == (12, 20)
    assert scene.find()["disc"].score < agreed["disc"].score


def test_a_label_with_one_example_has_a_place_and_no_certainty(scene: Scene) -> None:
    for task in (1, 2, 3, 4, 5):
        _, true = picture(task)
        some = true if task == 1 else {"disc": true["disc"]}
        scene.teach(task, points=some, absent=() if task == 1 else ("square",))
    scene.work()
    found = scene.find()
    assert found.keys() == {"disc", "square"}
    assert found["square"].score < found["disc"].score


def test_two_hundred_labels_are_learnt_and_found(scene: Scene) -> None:
    names = tuple(f"p{number}" for number in range(200))
    for task in (1, 2, 3):
        random = np.random.default_rng(task)
        places = {
            name: (float(x), float(y))
            for name, (x, y) in zip(names, random.uniform(0, SIDE, (200, 2)), strict=True)
        }
        scene.teach(task, points=places)
    scene.work()
    assert scene.find(names).keys() == set(names)


def test_points_outside_their_object_are_learnt_without_harm(scene: Scene) -> None:
    """A point may belong to a rectangle, by its parent, and lie beside it."""
    for task in (1, 2, 3, 4):
        _, true = picture(task)
        scene.teach(task, object=0, box=Box(0, 0, 50, SIDE), points=true | {"far": (95.0, 1.0)})
    scene.work()
    assert scene.step.images == 3
    assert scene.find().keys() >= {"disc"}


def test_another_network_begins_anew_and_the_former_one_finds_its_own_again(scene: Scene) -> None:
    for task in (1, 2, 3):
        scene.teach(task)
    scene.work()
    before, former = scene.find(), scene.backbone
    scene.backbone = Backbones().of(ANOTHER, network(1))
    assert scene.backbone.extractor.key != former.extractor.key
    assert scene.find() == {}
    assert scene.work() == 3
    assert scene.step.version.startswith(f"{ANOTHER}+3-")
    assert scene.find().keys() == {"disc", "square"}
    scene.backbone = former
    assert scene.work() == 3  # the features of one network are kept, those used last
    assert scene.find() == before
