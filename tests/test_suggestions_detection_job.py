import io
import logging
import re
import signal
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counted_statements import counted_statements
from hostile_images import EITHER, READ, hostile_images
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake, label_studio_fake
from learning_data import extract, lesson, teach
from loopback_server import Request, loopback_server
from numpy.typing import NDArray
from PIL import Image
from rq import Queue, Retry, SimpleWorker
from rq.serializers import JSONSerializer
from test_suggestions_queue import enqueue
from waiting_rows import queued

from backend.database.connection import Database, now
from backend.labelstudio import images
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import LabelStudios, Project, ProjectStorage
from backend.learning.records import Described
from backend.learning.storage import ExampleStorage
from backend.queue.interruption import Interrupted, JobFailed, interrupt
from backend.queue.steady_worker import SteadyWorker
from backend.retries import MOST_DETECTION_ATTEMPTS
from backend.settings import Settings
from backend.suggestions import detection_job, maps
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.detector import LoadedDetector
from backend.suggestions.job_context import JobContext
from backend.suggestions.queue import enqueue_again, job_id
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unnamed_points import points_of_each
from backend.suggestions.wanted import wanted_of
from backend.training.registry import Model
from model.detector import Detector
from model.keypoint import Box, Detection
from model.networks import SMALL, Classifier, build_network
from model.settings import POSTER

VERSION = "small-0123456789"
CONTROL = keypoint_control(CONFIG)
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def encoded(pixels: NDArray[Any], kind: str = "PNG", mode: str | None = None, **more: Any) -> bytes:
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **more)
    return buffer.getvalue()


PNG = encoded(PIXELS)


@pytest.fixture(scope="module")
def detector() -> Iterator[Detector]:
    """A real detector, small and with random weights; more threads than one would slow it down."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    classes, half = ("bus", "van"), (0.5, 0.5, 0.5)
    classifier = Classifier(build_network(SMALL, 2), SMALL, classes, 32, half, half)
    yield Detector(classifier, replace(POSTER, input_size=32, stride=16, max_keypoints=20))
    torch.set_num_threads(threads)


class QuickWorker(SimpleWorker):
    """A worker of RQ without its subscription to commands, which takes a second to end."""

    def subscribe(self) -> None:
        pass


class OneDetector:
    """In the place of `ActiveDetectors`: its model was never replaced."""

    def __init__(self, detector: Any, version: str = VERSION) -> None:
        self.loaded = LoadedDetector(version, detector, 0)

    def get(self, project_uid: str) -> LoadedDetector:
        return self.loaded

    def active(self, project: Project) -> Model:
        return Model(self.loaded.version, SMALL, "")

    def of(self, model: Model, project_uid: str) -> LoadedDetector:
        return self.loaded

    def is_replaced(self, version: str, active: Model) -> bool:
        return False


class Scene:
    """A worker with a Label Studio; the test takes the part of the web process."""

    def __init__(self, fake: LabelStudioFake, database: Database, queue: Queue, detector: Detector):
        self.fake, self.database, self.queue = fake, database, queue
        ProjectStorage(database).save_label_config(UID, CONFIG)
        settings = Settings(label_studio_url=fake.url, label_studio_api_key=TOKEN, suggest="always")
        studios = LabelStudios(settings)
        self.context = JobContext(
            settings,
            database,
            studios,
            DeliveryService(settings, database, studios),
            OneDetector(detector),
        )
        self.change()

    def change(self, **values: Any) -> None:
        """Change the context of the jobs."""
        self.context = replace(self.context, **values)
        detection_job.set_job_context(self.context)

    def set(self, **values: Any) -> None:
        """Change settings."""
        self.change(settings=self.context.settings.model_copy(update=values))

    def ask(self, number: int = 1, image: bytes = PNG, data: dict[str, Any] | None = None) -> int:
        task = self.fake.add_task(number, image)
        task["data"] |= data or {}
        wanted = wanted_of(task, CONTROL)
        assert wanted is not None
        [row] = PredictionStorage(self.database).request(
            UID, VERSION, [wanted], retry_failed_before=now()
        )
        return row.id

    def row(self, prediction: int) -> Prediction:
        found = PredictionStorage(self.database).prediction(prediction)
        assert found is not None
        return found

    def work(self, *rows: int) -> None:
        """Queue some rows, and let a worker of RQ do all that is queued."""
        for row in rows:
            enqueue(self.queue, self.context.settings, row, self.row(row).round)
        self.worker().work(burst=True, logging_level="WARNING")

    def worker(self) -> QuickWorker:
        connection = self.queue.connection
        return QuickWorker([self.queue], connection=connection, serializer=JSONSerializer)


@pytest.fixture
def scene(database: Database, queue: Queue, detector: Detector) -> Iterator[Scene]:
    with label_studio_fake() as fake:
        yield Scene(fake, database, queue, detector)
    detection_job.set_job_context(None)


def test_an_upload_becomes_a_prediction_in_label_studio(scene: Scene) -> None:
    row = scene.ask()
    scene.work(row)
    [stored] = scene.fake.of_task(1)
    region = stored["result"][0]
    assert (region["original_width"], region["original_height"]) == (64, 48)
    assert stored["model_version"] == VERSION
    found = scene.row(row)
    assert (found.status, found.attempts, found.reason) == ("ready", 1, None)
    assert found.delivery is not None
    assert found.delivery.sent["result"] == stored["result"]


def test_what_is_found_is_what_the_detector_finds(scene: Scene, detector: Detector) -> None:
    row = scene.ask()
    scene.work(row)
    assert scene.row(row).detection == detector.detect(PIXELS)


def test_running_a_job_twice_changes_nothing(scene: Scene) -> None:
    row = scene.ask()
    detection_job.predict(row)
    before = scene.row(row)
    detection_job.predict(row)
    assert scene.row(row) == before
    assert len(scene.fake.of_task(1)) == 1
    assert len(scene.fake.asked("GET", "/data/upload/3/image-1.png")) == 1


def test_a_prediction_takes_few_statements(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes processor time that detection would have."""
    monkeypatch.setattr(maps, "MAPS_PER_VERSION", 1)
    rows = [scene.ask(number) for number in (1, 2, 3)]
    for row in rows[:2]:  # from then on, there are maps enough, and it is known
        detection_job.predict(row)
    with counted_statements(scene.database) as found:
        detection_job.predict(rows[2])
    kinds = Counter(statement.split(None, 1)[0] for statement in found)
    del kinds["PRAGMA"]  # sets a time-out of the connection, and reads nothing
    assert kinds == {"BEGIN": 10, "SELECT": 8, "UPDATE": 6, "INSERT": 2}


class Later:
    """In the place of a `Deliverer`: delivers nothing yet."""

    def deliver(self, prediction_id: int) -> None:
        pass


def test_deliveries_of_one_look_are_confirmed_in_one_transaction(scene: Scene) -> None:
    service = DeliveryService(scene.context.settings, scene.database, scene.context.studios)
    scene.change(delivery=Later())

    def transactions_for(*numbers: int) -> int:
        rows = [scene.ask(number) for number in numbers]
        for row in rows:
            detection_job.predict(row)
        with counted_statements(scene.database) as found:
            service.deliver_due(10, UID)
        deliveries = [scene.row(row).delivery for row in rows]
        assert all(each and each.confirmed_at and each.label_studio_id for each in deliveries)
        return found.count("BEGIN IMMEDIATE")

    assert transactions_for(1) == 3  # leases, the record before it is sent, the confirmation
    assert transactions_for(2, 3, 4) == 5


def test_a_box_in_the_data_is_where_it_looks(scene: Scene) -> None:
    row = scene.ask(data={"box": {"x": 25, "y": 50, "width": 50, "height": 50}})
    scene.work(row)
    detection = scene.row(row).detection
    assert detection is not None
    assert detection.box == Box(16, 24, 32, 24)


def test_a_prediction_that_no_longer_exists_is_skipped(scene: Scene) -> None:
    detection_job.predict(99)
    assert scene.fake.requests == []


# Images


MISSING = b"missing"
HUGE = encoded(np.zeros((10_000, 10_000), dtype=np.bool_))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "0 bytes"),
        (b"this is a text", "something else"),
        (PNG[:200], "cut short"),
        (HUGE, "megapixels"),
        (encoded(PIXELS[:5, :5]), "at least 8 px"),
        (MISSING, "404"),
    ],
    ids=["empty", "text", "truncated", "100 megapixels", "tiny", "missing"],
)
def test_an_unreadable_image_fails_its_own_job_alone(
    scene: Scene, image: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = scene.ask(1, image), scene.ask(2)
    if image is MISSING:
        del scene.fake.files["/data/upload/3/image-1.png"]
    scene.work(bad, good)
    found = scene.row(bad)
    assert (found.status, found.attempts) == ("failed", 1)
    assert reason in (found.reason or "")
    assert f"Task 1 of project {UID}: {found.reason} (given up)" in caplog.text
    assert scene.queue.failed_job_registry.get_job_ids() == [job_id(bad, 1)]
    assert scene.fake.of_task(1) == []
    assert len(scene.fake.of_task(2)) == 1


def test_of_many_hostile_images_each_fails_alone_and_the_worker_goes_on(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """As they are decoded, they are in test_labelstudio_decoders; here is what becomes of tasks."""
    scene.set(decode_timeout=0.5, max_image_bytes=100_000_000)
    hostile = [image for image in hostile_images() if image.outcome not in (READ, EITHER)]
    assert len(hostile) > 50
    rows = [scene.ask(number, image.data) for number, image in enumerate(hostile, 2)]
    good = [scene.ask(1), scene.ask(99)]
    for row in (good[0], *rows, good[1]):
        enqueue(scene.queue, scene.context.settings, row, scene.row(row).round)
    SteadyWorker(scene.queue).work(burst=True, logging_level="WARNING")
    for image, row in zip(hostile, map(scene.row, rows), strict=True):
        assert (row.status, row.attempts) == ("failed", 1), image.name
        assert re.search(image.outcome, row.reason or ""), image.name
        assert "\n" not in (row.reason or "")
    assert [scene.row(row).status for row in good] == ["ready", "ready"]
    assert "Traceback" not in caplog.text
    assert not any(record.exc_info for record in caplog.records)


def test_a_server_that_drips_ends_at_the_time_limit_and_the_other_tasks_are_done(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "WHOLE_TIMEOUT", 0.5)
    scene.set(image_hosts=("localhost",))

    def drip(_: Request, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(1000):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    with loopback_server(drip) as server:
        slow = scene.ask(1, data={"image": f"http://localhost:{server.port}/a.png"})
        good = scene.ask(2)
        scene.work(slow, good)
    assert scene.row(good).status == "ready"
    waiting = scene.row(slow)
    assert waiting.status == "queued"
    assert "within 0.5 s, got only a part of it" in (waiting.reason or "")


def upright(pixels: NDArray[Any]) -> bytes:
    """The image rotated by 90 degrees, with the EXIF orientation that undoes it."""
    turned, exif = np.rot90(pixels), Image.Exif()
    exif[0x0112] = 6
    return encoded(turned, exif=exif)


@pytest.mark.parametrize(
    "image",
    [
        encoded(PIXELS, "JPEG", "CMYK"),
        encoded(PIXELS[..., 0].astype(np.uint16) * 257),
        encoded(PIXELS, mode="L"),
        encoded(PIXELS, mode="RGBA"),
        encoded(PIXELS, "GIF", save_all=True, append_images=[Image.fromarray(PIXELS)]),
        upright(PIXELS),
    ],
    ids=["CMYK", "16-bit", "grey", "alpha", "animated", "EXIF-rotated"],
)
def test_an_unusual_image_is_predicted_at_its_upright_size(scene: Scene, image: bytes) -> None:
    row = scene.ask(1, image)
    scene.work(row)
    [stored] = scene.fake.of_task(1)
    sizes = {(each["original_width"], each["original_height"]) for each in stored["result"]}
    assert sizes == {(64, 48)}


def test_an_image_over_the_limit_of_bytes_is_refused(scene: Scene) -> None:
    scene.set(max_image_bytes=100)
    row = scene.ask()
    scene.work(row)
    assert "MAX_IMAGE_BYTES" in (scene.row(row).reason or "")


def test_an_image_over_the_limit_of_pixels_is_refused(scene: Scene) -> None:
    scene.set(max_image_pixels=64 * 48 - 1)
    row = scene.ask()
    scene.work(row)
    assert "got 64 × 48" in (scene.row(row).reason or "")
    assert scene.row(row).status == "failed"


def test_an_image_at_a_private_address_is_refused(scene: Scene) -> None:
    row = scene.ask(data={"image": scene.fake.url.replace("127.0.0.1", "localhost") + "/a.png"})
    scene.work(row)
    assert "IMAGE_HOSTS" in (scene.row(row).reason or "")
    assert scene.row(row).status == "failed"


def test_an_image_in_the_address_needs_no_label_studio(scene: Scene) -> None:
    nowhere = LabelStudios(Settings())
    service = DeliveryService(scene.context.settings, scene.database, nowhere)
    scene.change(studios=nowhere, delivery=service)
    row = scene.ask(data={"image": f"data:image/png;base64,{b64encode(PNG).decode()}"})
    scene.work(row)
    found = scene.row(row)
    assert found.status == "ready"
    assert "LABEL_STUDIO_URL" in (found.reason or "")


def test_an_upload_without_any_label_studio_says_what_to_set(scene: Scene) -> None:
    scene.change(studios=LabelStudios(Settings()))
    row = scene.ask()
    with pytest.raises(JobFailed, match="LABEL_STUDIO_URL"):
        detection_job.predict(row)
    assert scene.row(row).status == "failed"


def test_a_configuration_that_lost_its_keypoints_fails_the_job(scene: Scene) -> None:
    row = scene.ask()
    ProjectStorage(scene.database).save_label_config(UID, "<View/>")
    with pytest.raises(JobFailed, match="control for keypoints"):
        detection_job.predict(row)
    assert scene.row(row).status == "failed"


# What may pass


def test_a_label_studio_that_is_down_is_waited_for_and_given_up_when_the_time_is_up(
    scene: Scene,
) -> None:
    row = scene.ask()
    scene.fake.down = True
    for _ in range(12):  # more often than a job is tried again whose worker dies
        detection_job.predict(row)
    waiting = scene.row(row)
    assert (waiting.status, waiting.failures, waiting.attempts) == ("queued", 0, 0)
    assert "503" in (waiting.reason or "")
    assert queued(PredictionStorage(scene.database)) == []
    scene.set(give_up_after=0)
    with pytest.raises(JobFailed, match="given up"):
        detection_job.predict(row)
    found = scene.row(row)
    assert (found.status, found.waiting_for, found.failing_since) == ("failed", None, None)
    assert "503" in (found.reason or "")


def test_what_went_wrong_once_is_forgotten_when_it_goes_well(scene: Scene) -> None:
    row = scene.ask()
    scene.fake.down = True
    detection_job.predict(row)
    scene.fake.down = False
    detection_job.predict(row)
    assert (scene.row(row).status, scene.row(row).reason) == ("ready", None)


def test_a_prediction_that_cannot_be_delivered_is_kept(scene: Scene) -> None:
    scene.fake.tasks.clear()
    row = scene.ask()
    scene.fake.tasks.clear()
    scene.work(row)
    found = scene.row(row)
    assert found.status == "ready"
    assert "it is deleted" in (found.reason or "")
    assert scene.queue.failed_job_registry.count == 0


def test_label_studio_that_stores_and_then_fails_has_it_once(scene: Scene) -> None:
    scene.fake.fails_after_storing = 1
    row = scene.ask()
    scene.work(row)
    assert len(scene.fake.of_task(1)) == 1
    with scene.database.writing() as connection:
        connection.exec_driver_sql("UPDATE predictions SET busy_until = NULL, check_at = asked_at")
    scene.context.delivery.deliver_due(10)
    assert len(scene.fake.of_task(1)) == 1
    assert scene.row(row).delivery.confirmed_at is not None  # type: ignore[union-attr]


class Broken:
    """A detector that always raises the same error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def detect(self, picture: NDArray[np.uint8], box: Box | None = None) -> Detection:
        raise self.error


def test_an_error_that_nobody_thought_of_is_logged_whole_and_tried_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.change(detectors=OneDetector(Broken(RuntimeError("out of memory"))))
    row = scene.ask()
    scene.work(row)
    assert "Traceback" in caplog.text
    found = scene.row(row)
    assert (found.status, found.reason) == ("queued", "RuntimeError: out of memory")


def test_a_job_that_takes_too_long_is_given_up(scene: Scene) -> None:
    class Slow(Broken):
        def detect(self, picture: NDArray[np.uint8], box: Box | None = None) -> Detection:
            signal.raise_signal(signal.SIGALRM)  # as RQ's own clock does when the time is up
            raise AssertionError

    scene.change(detectors=OneDetector(Slow(AssertionError())))
    scene.set(job_timeout=77)
    row = scene.ask()
    scene.work(row)
    found = scene.row(row)
    assert found.status == "failed"
    assert "JOB_TIMEOUT=77 s" in (found.reason or "")


def test_a_worker_with_another_model_says_so_and_leaves_it_to_others(
    scene: Scene, detector: Detector
) -> None:
    scene.change(detectors=OneDetector(detector, "small-9876543210"))
    row = scene.ask()
    scene.work(row)
    found = scene.row(row)
    assert found.status == "queued"
    assert VERSION in (found.reason or "")
    assert "small-9876543210" in (found.reason or "")


def test_an_image_that_kills_every_worker_is_given_up(scene: Scene) -> None:
    row = scene.ask()
    for _ in range(MOST_DETECTION_ATTEMPTS):
        PredictionStorage(scene.database).start_attempt(row)
    with pytest.raises(JobFailed, match="memory"):
        detection_job.predict(row)
    assert scene.row(row).status == "failed"


def test_a_job_that_is_interrupted_goes_back_to_the_front_of_the_queue(scene: Scene) -> None:
    class Interrupting(Broken):
        def detect(self, picture: NDArray[np.uint8], box: Box | None = None) -> Detection:
            interrupt()
            raise AssertionError

    scene.change(detectors=OneDetector(Interrupting(AssertionError())))
    first, second = scene.ask(1), scene.ask(2)
    for row in (first, second):
        enqueue(scene.queue, scene.context.settings, row, 1)
    scene.worker().work(burst=True, max_jobs=1, logging_level="CRITICAL")
    assert scene.queue.get_job_ids() == [job_id(first, 1), job_id(second, 1)]
    assert (scene.row(first).status, scene.row(first).attempts) == ("queued", 0)
    job = scene.queue.fetch_job(job_id(first, 1))
    assert job is not None
    assert (job.retries_left, job.retry_intervals) == (0, [0])


def test_a_worker_that_has_to_stop_between_jobs_starts_no_other(scene: Scene) -> None:
    row = scene.ask()
    interrupt()
    with pytest.raises(Interrupted):
        detection_job.predict(row)
    assert (scene.row(row).status, scene.row(row).attempts) == ("queued", 0)
    assert scene.fake.requests == []


def test_a_failed_job_does_not_stand_in_the_way_of_another_try(scene: Scene) -> None:
    row = scene.ask(1, b"no image")
    scene.work(row)
    assert scene.row(row).status == "failed"
    assert scene.ask() == row
    assert enqueue_again(scene.queue, scene.context.settings, scene.database) == 1
    scene.work()
    assert len(scene.fake.of_task(1)) == 1


def test_jobs_of_an_older_version_are_made_under_the_new_path(scene: Scene) -> None:
    """The path of the function is in Redis, and the new version cannot import the old one."""
    rows = [scene.ask(number) for number in (1, 2, 3)]
    for row in rows:
        scene.queue.enqueue(
            "backend.jobs.predict",
            row,
            job_id=job_id(row, 1),
            unique=True,
            retry=Retry(max=2, interval=[5, 15]),
        )
    scene.worker().work(burst=True, max_jobs=1, logging_level="CRITICAL")
    assert job_id(rows[0], 1) in scene.queue.scheduled_job_registry.get_job_ids()
    assert all(scene.row(row).attempts == 0 for row in rows)
    assert enqueue_again(scene.queue, scene.context.settings, scene.database) == 3
    scene.work()
    assert [len(scene.fake.of_task(number)) for number in (1, 2, 3)] == [1, 1, 1]
    assert [(scene.row(row).status, scene.row(row).attempts) for row in rows] == [("ready", 1)] * 3
    assert enqueue_again(scene.queue, scene.context.settings, scene.database) == 0
    assert scene.queue.scheduled_job_registry.count == 0


def test_secrets_are_not_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        scene.work(scene.ask())
        scene.fake.refuses = True
        scene.work(scene.ask(2))
    assert TOKEN not in caplog.text
    assert "401" in (scene.row(2).reason or "")


def test_the_file_of_this_module_is_where_jobs_are_looked_for() -> None:
    assert Path(detection_job.__file__).name == "detection_job.py"
    assert detection_job.predict.__module__ == "backend.suggestions.detection_job"


def learn_three(scene: Scene) -> None:
    """Have three images learnt whose nose lies in the same place."""
    backbone = scene.context.backbone_of(UID)
    examples = ExampleStorage(scene.database, limit=scene.context.settings.learn_examples)
    for task in (1, 2, 3):
        teach(scene.database, task, lesson(task, points={"nose": (20.0, 20.0)}), uid=UID)
        scene.context.steps.adopt(UID, VERSION, backbone.extractor.key)
        example = examples.start_attempt(task)
        assert example is not None
        described = Described(backbone.extractor.extract(PIXELS, None).to_bytes())
        assert examples.finish(example, backbone.extractor.key, described)


def test_each_rectangle_of_a_task_gets_its_own_landmarks(scene: Scene) -> None:
    learn_three(scene)
    left = {"x": 0, "y": 0, "width": 50, "height": 100}
    task = scene.fake.add_task(4, PNG)
    image = task["data"]["image"]
    boxes = [left, left | {"x": 50}]
    wanted = wanted_of(task | {"data": {"image": image, "box": boxes}}, CONTROL)
    one_box = wanted_of(task | {"data": {"image": image, "box": left}}, CONTROL)
    assert wanted is not None and one_box is not None
    assert wanted.input_sha256 != one_box.input_sha256
    version = scene.context.steps.version(UID, VERSION)
    [row] = PredictionStorage(scene.database).request(
        UID, version, [wanted], retry_failed_before=now()
    )
    scene.work(row.id)
    made = scene.row(row.id)
    assert made.detection is not None and made.status == "ready"
    assert [point.label for point in made.detection.named] == ["nose", "nose"]
    assert [each.landmarks for each in made.objects] == [1, 1]
    assert [each.rectangle.box for each in made.objects] == [Box(0, 0, 32, 48), Box(32, 0, 32, 48)]


def test_what_was_asked_before_the_project_learnt_is_made_with_what_it_has_learnt(
    scene: Scene,
) -> None:
    """Landmarks are found on the next image, under the version that names what was learnt."""
    row = scene.ask(4)
    learn_three(scene)
    scene.work(row)
    learnt = scene.context.steps.version(UID, VERSION)
    assert learnt.startswith(f"{VERSION}+3-")
    [made] = PredictionStorage(scene.database).of_task(4)
    assert (made.id, made.model_version, made.status) == (row, learnt, "ready")
    assert made.detection is not None
    [nose] = made.detection.named
    assert nose.label == "nose"
    [stored] = scene.fake.of_task(4)
    assert stored["model_version"] == learnt
    assert stored["result"][0]["value"]["keypointlabels"] == ["nose"]


def test_a_model_with_another_network_has_its_own_features_extracted(scene: Scene) -> None:
    for task in (1, 2, 3):
        teach(scene.database, task, lesson(task), uid=UID)
    scene.context.steps.adopt(UID, "another-0123456789", "another backbone")
    extract(scene.database, key="another backbone")
    row = scene.ask(4)
    scene.work(row)
    assert scene.row(row).status == "ready"  # with what is known so far: nothing
    assert scene.row(row).detection is not None
    assert scene.row(row).detection.named == ()  # type: ignore[union-attr]
    examples = ExampleStorage(scene.database, limit=scene.context.settings.learn_examples)
    assert [number for number, _ in queued(examples)] == [1, 2, 3]


def test_each_rectangle_of_a_task_gets_its_own_points_without_a_name(scene: Scene) -> None:
    task = scene.fake.add_task(4, PNG)
    left = {"x": 0, "y": 0, "width": 50, "height": 100}
    boxes = [left, left | {"x": 50}]
    image = task["data"]["image"]
    wanted = wanted_of(task | {"data": {"image": image, "box": boxes}}, CONTROL)
    assert wanted is not None
    [row] = PredictionStorage(scene.database).request(
        UID, VERSION, [wanted], retry_failed_before=now()
    )
    scene.work(row.id)
    made = scene.row(row.id)
    assert made.detection is not None and made.status == "ready"
    groups = points_of_each(made.detection.keypoints, [Box(0, 0, 32, 48), Box(32, 0, 32, 48)])
    assert all(len(points) > 0 for _, points in groups)
    stored = PredictionStorage(scene.database).candidates(made)
    assert stored is not None and len(stored) >= len(made.detection.keypoints)
