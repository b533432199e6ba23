"""From corrected drawings to landmarks on the next one, with a real backbone."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_data import BASE, LIMIT, OTHER_UID, UID, lesson, looked_at, teach
from numpy.typing import NDArray
from waiting_rows import queued

from backend.database.connection import Database
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import ProjectStorage
from backend.learning.backbones import Backbone, Backbones
from backend.learning.cost_storage import CostStorage
from backend.learning.looks import Looks, looks_at
from backend.learning.named_points import NamedPoints
from backend.learning.step_storage import StepChanged, StepStorage
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from model.keypoint import NamedKeypoint, Visibility
from model.networks import SMALL, Classifier, build_network

pytestmark = pytest.mark.usefixtures("one_thread")
SIDE = 96


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    half = (0.5, 0.5, 0.5)
    classifier = Classifier(build_network(SMALL, 2), SMALL, ("bus", "van"), 64, half, half)
    return Backbones().of(BASE, classifier)


def picture(seed: int) -> tuple[NDArray[np.uint8], dict[str, tuple[float, float]]]:
    """A red disc and a blue square, somewhere near their usual places."""
    random = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = (28.0 + random.integers(-5, 6), 48.0 + random.integers(-5, 6))
    square = (70.0 + random.integers(-5, 6), 48.0 + random.integers(-5, 6))
    image[(x - disc[0]) ** 2 + (y - disc[1]) ** 2 < 80] = (220, 20, 20)
    image[(abs(x - square[0]) < 8) & (abs(y - square[1]) < 8)] = (20, 20, 220)
    return image, {"disc": disc, "square": square}


class Scene:
    """Two projects of one worker."""

    def __init__(self, database: Database, backbone: Backbone) -> None:
        self.database, self.backbone = database, backbone
        self.steps = StepStorage(database, limit=LIMIT)
        self.named = NamedPoints(Settings(), database)

    def learn(
        self, *tasks: int, uid: str = UID, visibility: Mapping[str, Visibility] | None = None
    ) -> None:
        examples = ExampleStorage(self.database, limit=LIMIT)
        for task in tasks:
            image, points = picture(task)
            taught = lesson(task, points=points, absent=("nose",), width=SIDE, height=SIDE)
            taught = replace(taught, visibility=visibility or {})
            teach(self.database, task, taught, uid=uid)
            self.steps.adopt(uid, BASE, self.backbone.extractor.key)
            [(number, _)] = queued(examples)
            example = examples.start_attempt(number)
            assert example is not None
            described = looked_at(self.named, self.backbone, example, image)
            assert examples.finish(example, self.backbone.extractor.key, described)

    def looks(self, image: NDArray[np.uint8]) -> Looks:
        return looks_at(self.backbone.extractor, image, None, None)

    def find(
        self, seed: int = 99, uid: str = UID, labels: tuple[str, ...] = ("disc", "square")
    ) -> dict[str, NamedKeypoint]:
        image, _ = picture(seed)
        version = self.steps.version(uid, BASE)
        found = self.named.find(self.backbone, uid, version, self.looks(image), labels)
        return {point.label: point for point in found.points}


@pytest.fixture
def scene(database: Database, backbone: Backbone) -> Iterator[Scene]:
    yield Scene(database, backbone)


def test_after_three_images_each_label_has_its_place_and_its_probabilities(scene: Scene) -> None:
    scene.learn(1, 2)
    assert scene.find() == {}
    scene.learn(3)
    found, (_, true) = scene.find(), picture(99)
    assert found.keys() == {"disc", "square"}
    for label, point in found.items():
        assert np.hypot(point.x - true[label][0], point.y - true[label][1]) < 0.1 * SIDE
        assert 0 <= point.score <= point.visible_probability <= 1


def test_what_is_usually_chosen_comes_with_the_landmark(scene: Scene) -> None:
    scene.learn(1, 2, 3, visibility={"disc": "occluded"})
    assert {point.visibility for point in scene.find().values()} == {None}  # too few
    scene.learn(4, visibility={"disc": "occluded"})
    scene.learn(5)
    assert {point.visibility for point in scene.find().values()} == {None}  # 4 of 5
    scene.learn(6, 7, 8, visibility={"disc": "occluded"})
    found = scene.find()
    assert (found["disc"].visibility, found["square"].visibility) == ("occluded", None)


def test_a_changed_choice_of_a_learnt_image_makes_a_new_version(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    before = scene.steps.version(UID, BASE)
    _, points = picture(3)
    same = lesson(3, points=points, absent=("nose",), width=SIDE, height=SIDE)
    teach(scene.database, 3, replace(same, visibility={"disc": "occluded"}))
    assert scene.steps.version(UID, BASE) != before
    teach(scene.database, 3, same)
    assert scene.steps.version(UID, BASE) == before


def test_one_project_says_nothing_about_another(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    assert scene.find(uid=OTHER_UID) == {}


def test_labels_that_were_removed_or_renamed_are_left_out(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    assert scene.find(labels=("disc", "renamed square")).keys() == {"disc"}


def test_what_was_forgotten_has_no_influence_on_the_next_image(scene: Scene) -> None:
    scene.learn(1, 2, 3, 4)
    before = scene.find()
    teach(scene.database, 4, uid=UID)
    after = scene.find()
    fresh = Scene(scene.database, scene.backbone)
    assert after == fresh.find()
    assert after == before  # the fourth was in no step yet
    teach(scene.database, 3, uid=UID)
    assert scene.find() == {}


def test_a_version_that_was_replaced_makes_no_suggestion(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    old = scene.steps.version(UID, BASE)
    scene.learn(4, 5)
    image, _ = picture(99)
    with pytest.raises(StepChanged):
        scene.named.find(scene.backbone, UID, old, scene.looks(image), ("disc",))


def test_annotators_who_contradict_each_other_do_no_harm(scene: Scene) -> None:
    for task in (1, 2, 3):
        _, points = picture(task)
        swapped = {"disc": points["square"], "square": points["disc"]}
        other = lesson(task, points=swapped, absent=(), width=SIDE, height=SIDE)
        teach(scene.database, 100 + task, other, uid=UID)
        scene.steps.adopt(UID, BASE, scene.backbone.extractor.key)
        examples = ExampleStorage(scene.database, limit=LIMIT)
        [(number, _)] = queued(examples)
        example = examples.start_attempt(number)
        assert example is not None
        described = looked_at(scene.named, scene.backbone, example, picture(task)[0])
        examples.finish(example, scene.backbone.extractor.key, described)
        scene.learn(task)
    found = scene.find()
    assert found.keys() == {"disc", "square"}
    assert all(np.isfinite([point.x, point.y, point.score]).all() for point in found.values())


def test_one_label_with_one_point_and_two_hundred_labels_are_learnt(scene: Scene) -> None:
    many = {f"label {number}": (float(number % 90), 40.0) for number in range(200)}
    examples = ExampleStorage(scene.database, limit=LIMIT)
    for task in (1, 2, 3):
        points = many if task > 1 else {**many, "once": (20.0, 20.0)}
        taught = lesson(task, points=points, absent=(), width=SIDE, height=SIDE)
        teach(scene.database, task, taught, uid=UID)
        scene.steps.adopt(UID, BASE, scene.backbone.extractor.key)
        [(number, _)] = queued(examples)
        example = examples.start_attempt(number)
        assert example is not None
        described = looked_at(scene.named, scene.backbone, example, picture(task)[0])
        examples.finish(example, scene.backbone.extractor.key, described)
    found = scene.find(labels=(*many, "once"))
    assert len(found) >= 200


def test_a_wider_tolerance_makes_points_right_more_often(scene: Scene) -> None:
    """The score is the probability that a point lies within the project's own tolerance."""
    scene.learn(*range(1, 9))
    before = scene.find()
    scores = []
    for tolerance in (0.002, 0.05, 0.3):
        projects = ProjectStorage(scene.database)
        projects.save_settings(UID, ProjectSettings(tolerance=tolerance))
        scene.steps.advance(UID)
        found = scene.find()
        scores.append({label: point.score for label, point in found.items()})
        assert [(point.x, point.y) for point in found.values()] == [
            (point.x, point.y) for point in before.values()
        ]
    narrow, standard, wide = scores
    assert standard == {label: point.score for label, point in before.items()}
    assert all(narrow[label] < standard[label] <= wide[label] for label in before)


def test_the_costs_of_a_step_are_those_when_it_was_made(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    costs = CostStorage(scene.database)
    assert costs.claim(UID, 0, 60)
    costs.save(UID, {"place": 2.1})
    image, _ = picture(99)

    def used() -> Mapping[str, float]:
        version = scene.steps.version(UID, BASE)
        looks = scene.looks(image)
        return scene.named.find(scene.backbone, UID, version, looks, ("disc",)).costs

    assert used() == {}
    scene.learn(4, 5)
    assert used() == {"place": 2.1}
