"""What a worker finds for an annotator who has placed something, with a real network."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import torch
from image_pairs import PAIR, made
from label_studio_fake import TOKEN, UID, LabelStudioFake, label_studio_fake
from learning_data import BASE, LIMIT, lesson, looked_at, teach
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import update
from verdict_data import detection
from waiting_rows import queued

from backend.database.connection import Database, now
from backend.labelstudio.images import Images
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.learning.backbones import Backbone, Backbones
from backend.learning.named_points import NamedPoints
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.settings import Settings
from backend.suggestions import interactive_job
from backend.suggestions.detector import LoadedDetector
from backend.suggestions.interactive_records import InteractiveAnswer, PlacedSoFar
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import interactive_answers
from backend.suggestions.wanted import wanted_of
from model.detector import Detector
from model.keypoint import Box, Detection, Keypoint
from model.networks import SMALL, Classifier, build_network
from model.settings import POSTER

pytestmark = pytest.mark.usefixtures("one_thread")
SIDE = 96
CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="disc"/><Label value="square"/></KeyPointLabels></View>'
)


def picture(seed: int) -> tuple[NDArray[np.uint8], dict[str, tuple[float, float]]]:
    """A red disc and a blue square beside it, somewhere on the image."""
    random = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    right, down = random.integers(-8, 9, 2)
    disc, square = (28.0 + right, 48.0 + down), (68.0 + right, 48.0 + down)
    image[(x - disc[0]) ** 2 + (y - disc[1]) ** 2 < 80] = (220, 20, 20)
    image[(abs(x - square[0]) < 8) & (abs(y - square[1]) < 8)] = (20, 20, 220)
    return image, {"disc": disc, "square": square}


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    half = (0.5, 0.5, 0.5)
    return Classifier(build_network(SMALL, 2), SMALL, ("bus", "van"), 64, half, half)


class OneDetector:
    """In the place of `ActiveDetectors`."""

    def __init__(self, classifier: Classifier) -> None:
        settings = replace(POSTER, input_size=64, stride=16, max_keypoints=20)
        self.loaded = LoadedDetector(BASE, Detector(classifier, settings), 0)

    def get(self, project_uid: str) -> LoadedDetector:
        return self.loaded


class Scene:
    """A worker, and a Label Studio with the images."""

    def __init__(self, fake: LabelStudioFake, database: Database, classifier: Classifier) -> None:
        self.fake, self.database = fake, database
        self.backbone: Backbone = Backbones().of(BASE, classifier)
        settings = Settings(label_studio_url=fake.url, label_studio_api_key=TOKEN)
        ProjectStorage(database).save_label_config(UID, CONFIG)
        self.answers = InteractiveStorage(database)
        detectors: Any = OneDetector(classifier)
        self.context = interactive_job.InteractiveContext(
            settings,
            self.answers,
            PredictionStorage(database),
            ProjectStorage(database),
            Images(settings, LabelStudios(settings)),
            detectors,
            NamedPoints(settings, database),
            lambda uid: self.backbone,
        )
        interactive_job.set_interactive_context(self.context)

    def learn(self, *tasks: int) -> None:
        examples = ExampleStorage(self.database, limit=LIMIT)
        for task in tasks:
            image, points = picture(task)
            taught = lesson(task, points=points, absent=(), width=SIDE, height=SIDE)
            teach(self.database, task, taught)
            steps = StepStorage(self.database, limit=LIMIT)
            steps.adopt(UID, BASE, self.backbone.extractor.key)
            [(number, _)] = queued(examples)
            example = examples.start_attempt(number)
            assert example is not None
            described = looked_at(self.context.named_points, self.backbone, example, image)
            assert examples.finish(example, self.backbone.extractor.key, described)

    def detected(self, number: int, *candidates: Keypoint, box: Box | None = None) -> None:
        """Store a prediction of a task."""
        control = keypoint_control(CONFIG)
        wanted = wanted_of({"id": number, "data": {"image": self.url(number)}}, control)
        assert wanted is not None
        storage = PredictionStorage(self.database)
        [row] = storage.request(UID, BASE, [wanted], retry_failed_before=now())
        whole = Box(0, 0, SIDE, SIDE)
        found = Detection("bus", 0.5, (), SIDE, SIDE, box or whole, candidates=candidates)
        storage.finish(row.id, found)

    def url(self, number: int) -> str:
        return str(self.fake.add_task(number, png(picture(number)[0]))["data"]["image"])

    def place(
        self, number: int, url: str | None = None, *, seconds_ago: float = 0, **placed: Any
    ) -> InteractiveAnswer:
        defaults: dict[str, Any] = {"box": None, "given": {}, "anchor": None, "prompts": ("a",)}
        request = PlacedSoFar(SIDE, SIDE, **(defaults | placed))
        answer_id = self.answers.add(UID, number, url or self.url(number), request)
        if seconds_ago:
            with self.database.writing() as connection:
                moment = now() - timedelta(seconds=seconds_ago)
                connection.execute(update(interactive_answers).values(asked_at=moment))
        interactive_job.complete(answer_id)
        found = self.answers.answer(answer_id)
        assert found is not None
        return found


@pytest.fixture
def scene(database: Database, classifier: Classifier) -> Iterator[Scene]:
    with label_studio_fake() as fake:
        yield Scene(fake, database, classifier)
    interactive_job.set_interactive_context(None)


def test_a_placed_landmark_brings_the_other_one_beside_it(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    scene.detected(9)
    _, true = picture(9)
    found = scene.place(9, anchor=true["disc"], given={"disc": true["disc"]})
    assert (found.status, found.model_version) == (
        "ready",
        StepStorage(scene.database, limit=LIMIT).version(UID, BASE),
    )
    assert found.detection
    [square] = found.detection.named
    assert square.label == "square"
    assert np.hypot(square.x - true["square"][0], square.y - true["square"][1]) < 0.1 * SIDE


def test_the_class_evidence_is_that_of_the_image_where_something_was_placed(
    scene: Scene,
) -> None:
    """The first image of the task has points beside the placed one as well."""
    further = [Keypoint(30, 30, 0.9, "car"), Keypoint(90, 90, 0.8, "car")]
    found = [detection((31, 31), width=SIDE, height=SIDE) for _ in range(2)]
    found[1] = replace(found[1], keypoints=(), candidates=tuple(further))
    ProjectStorage(scene.database).save_label_config(UID, PAIR)
    row = made(scene.database, 9, found, uid=UID)
    answer = scene.place(9, row.images[1].image_url, anchor=(29.0, 29.0))
    assert answer.detection is not None and answer.reason is None
    assert [(each.x, each.y) for each in answer.detection.keypoints] == [(30, 30)]


def test_the_size_that_the_browser_told_is_converted(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    scene.detected(9)
    x, y = picture(9)[1]["disc"]
    plain = scene.place(9, anchor=(x, y), given={"disc": (x, y)})
    double = (2 * x + 0.5, 2 * y + 0.5)
    request = PlacedSoFar(2 * SIDE, 2 * SIDE, None, {"disc": double}, double, ("a",))
    answer_id = scene.answers.add(UID, 9, plain.image_url, request)
    interactive_job.complete(answer_id)
    found = scene.answers.answer(answer_id)
    assert found and found.detection and plain.detection
    assert found.detection.named == plain.detection.named


def test_an_image_is_fetched_and_described_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.learn(1, 2, 3)
    scene.detected(9)
    first = scene.place(9, anchor=(30.0, 48.0), given={"disc": (30.0, 48.0)})
    fetched: list[object] = []
    monkeypatch.setattr(Images, "picture", lambda *arguments: fetched.append(arguments))
    again = scene.place(9, first.image_url, anchor=(70.0, 48.0), given={"square": (70.0, 48.0)})
    assert again.detection
    assert [each.label for each in again.detection.named] == ["disc"]
    assert fetched == []


def test_a_placed_rectangle_is_where_landmarks_are_looked_for(scene: Scene) -> None:
    scene.learn(1, 2, 3)
    found = scene.place(9, box=Box(4, 20, 88, 60))
    assert found.detection
    assert found.detection.box == Box(4, 20, 88, 60)
    assert {each.label for each in found.detection.named} == {"disc", "square"}


def test_a_point_beyond_the_part_that_was_searched_is_looked_for_on_the_whole_image(
    scene: Scene,
) -> None:
    scene.learn(1, 2, 3)
    scene.detected(9, box=Box(60, 60, 30, 30))
    disc = picture(9)[1]["disc"]
    found = scene.place(9, anchor=disc, given={"disc": disc})
    assert found.detection
    [square] = found.detection.named
    true = picture(9)[1]["square"]
    assert np.hypot(square.x - true[0], square.y - true[1]) < 0.1 * SIDE


def test_before_anything_is_learnt_the_nearest_class_evidence_is_found(scene: Scene) -> None:
    near, far = Keypoint(20, 20, 0.9, "bus"), Keypoint(80, 80, 0.95, "bus")
    scene.detected(9, far, near)
    found = scene.place(9, anchor=(22.0, 22.0))
    assert found.detection
    assert [(each.x, each.y) for each in found.detection.keypoints] == [(20, 20)]
    assert found.model_version == BASE


def test_before_anything_is_learnt_the_class_evidence_in_a_rectangle_is_found(
    scene: Scene,
) -> None:
    found = scene.place(9, box=Box(10, 10, 60, 60))
    assert found.detection
    assert found.detection.keypoints
    assert all(10 <= each.x <= 70 and 10 <= each.y <= 70 for each in found.detection.keypoints)


def test_without_a_stored_prediction_the_image_is_searched(scene: Scene) -> None:
    found = scene.place(9, anchor=(48.0, 48.0))
    assert found.status == "ready"
    scene.learn(1, 2, 3)
    again = scene.place(9, anchor=(48.0, 48.0), given={"disc": (48.0, 48.0)})
    assert again.detection
    assert [each.label for each in again.detection.named] == ["square"]


def test_nobody_waits_for_an_old_answer(scene: Scene) -> None:
    found = scene.place(9, anchor=(1.0, 1.0), seconds_ago=1000)
    assert (found.status, found.reason) == ("failed", "no worker was free in time")


def test_an_image_that_is_gone_is_told(scene: Scene) -> None:
    found = scene.place(9, f"{scene.fake.url}/data/upload/3/gone.png", anchor=(1.0, 1.0))
    assert found.status == "failed"
    assert found.reason and "404" in found.reason


def test_a_job_of_an_answer_that_does_not_exist_does_nothing(scene: Scene) -> None:
    interactive_job.complete(12345)
