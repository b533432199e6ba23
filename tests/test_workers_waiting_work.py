"""Outages of a real HTTP server, from the first failure to the last prediction, step by step."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from label_studio_fake import label_studio_fake
from prediction_rows import DETECTION
from rq import Queue
from sqlalchemy import update
from test_suggestions_detection_job import Scene, detector  # noqa: F401

from backend import retries
from backend.database.connection import Database, now
from backend.labelstudio.projects import LabelStudios
from backend.outages.breaker import SharedBreaker
from backend.outages.storage import OutageStorage
from backend.outages.tables import outages
from backend.suggestions import delivery_storage as delivery_module
from backend.suggestions import detection_job
from backend.suggestions import storage as predictions_module
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.queries import waiting_predictions
from backend.suggestions.queue import enqueue_again
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions
from backend.workers import waiting_work
from backend.workers.waiting_work import WaitingWork
from model.detector import Detector

IMAGES = "GET", "/data/upload/3/image-{}.png"


class Outage:
    """A worker whose services share a breaker, and its maintenance."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.database = scene, scene.database
        settings = scene.context.settings
        studios = LabelStudios(settings, SharedBreaker(self.database))
        self.service = DeliveryService(settings, self.database, studios)
        scene.change(studios=studios, delivery=self.service)
        self.work = WaitingWork(settings, self.database)

    def tend(self) -> bool:
        """Let a probe be due, and tend what waits."""
        with self.database.writing() as connection:
            connection.execute(update(outages).values(probe_at=now()))
        self.work._probed_at.clear()
        return self.work.tend()

    def round(self) -> None:
        """What the maintenance and the worker do in turn."""
        self.tend()
        enqueue_again(self.scene.queue, self.scene.context.settings, self.database)
        self.scene.worker().work(burst=True, logging_level="CRITICAL")
        self.service.deliver_due(1000)

    def requests(self) -> int:
        return sum(request.path.startswith("/data/upload/") for request in self.scene.fake.requests)

    def delivered(self, count: int) -> list[int]:
        return [len(self.scene.fake.of_task(number)) for number in range(1, count + 1)]


@pytest.fixture
def outage(any_database: Database, queue: Queue, detector: Detector) -> Iterator[Outage]:  # noqa: F811
    with label_studio_fake() as fake:
        yield Outage(Scene(fake, any_database, queue, detector))
    detection_job.set_job_context(None)


def status_of(outage: Outage, rows: list[int]) -> set[tuple[str, str | None]]:
    found = PredictionStorage(outage.database).predictions(rows)
    return {(row.status, row.waiting_for) for row in found}


def test_many_tasks_wait_for_a_host_that_gets_one_request_at_a_time(outage: Outage) -> None:
    scene, count = outage.scene, 40
    rows = [scene.ask(number) for number in range(1, count + 1)]
    scene.fake.down = True
    scene.work(*rows)
    service = f"image host {scene.fake.url}"
    waiting = status_of(outage, rows)
    assert waiting == {("queued", None), ("queued", service)}
    assert outage.requests() == retries.FAILURES_UNTIL_AWAY
    assert waiting_predictions(outage.database).counts()[service] >= count - 3
    for probes in range(1, 4):
        outage.round()
        assert outage.requests() == retries.FAILURES_UNTIL_AWAY + probes
    scene.fake.down = False
    outage.round()
    with outage.database.writing() as connection:  # the first two wait for a pause of their own
        connection.execute(update(predictions).values(retry_at=None))
    outage.round()
    outage.round()
    assert outage.delivered(count) == [1] * count
    assert OutageStorage(outage.database).away() == []
    assert {row.reason for row in PredictionStorage(outage.database).predictions(rows)} == {None}


def test_one_image_that_always_fails_does_not_hold_up_the_others(outage: Outage) -> None:
    """It is probed in turn with the others, so that it cannot speak for its host."""
    scene = outage.scene
    bad = [scene.ask(number) for number in (1, 2, 3)]
    scene.fake.unavailable = {f"/data/upload/3/image-{number}.png" for number in (1, 2, 3)}
    scene.work(*bad)
    [away] = OutageStorage(outage.database).away()
    assert away.service == f"image host {scene.fake.url}"
    good = [scene.ask(number) for number in (4, 5)]
    scene.work(*good)
    assert status_of(outage, good) == {("queued", away.service)}
    outage.round()
    outage.round()
    assert [len(scene.fake.of_task(number)) for number in range(1, 6)] == [0, 0, 0, 1, 1]


def test_deliveries_wait_apart_from_images(outage: Outage) -> None:
    scene = outage.scene
    scene.fake.unavailable = {"/api/predictions/", "/api/tasks/"}
    rows = [scene.ask(number) for number in range(1, 8)]
    scene.work(*rows)
    api = f"API of {scene.fake.url}"
    assert status_of(outage, rows) <= {("ready", None), ("ready", api)}
    asked = len(scene.fake.asked("GET", "/api/tasks/"))
    assert asked == retries.FAILURES_UNTIL_AWAY
    outage.round()
    assert len(scene.fake.asked("GET", "/api/tasks/")) == asked + 1
    scene.fake.unavailable.clear()
    outage.round()
    outage.round()
    with outage.database.writing() as connection:
        connection.execute(update(predictions).values(check_at=now()))
    outage.round()
    assert outage.delivered(7) == [1] * 7


def test_what_has_waited_for_too_long_is_given_up_with_its_reason(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = outage.scene
    scene.fake.down = True
    rows = [scene.ask(number) for number in range(1, 6)]
    scene.work(*rows)
    monkeypatch.setattr(waiting_work, "GIVES_UP_EVERY_SECONDS", 0)
    outage.work = WaitingWork(
        scene.context.settings.model_copy(update={"give_up_after": 0}), outage.database
    )
    outage.work.tend()
    found = PredictionStorage(outage.database).predictions(rows[2:])
    assert {row.status for row in found} == {"failed"}
    assert all("503" in (row.reason or "") for row in found)


def test_a_clock_that_was_set_back_a_day_keeps_no_prediction_from_its_delivery(
    outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = outage.scene
    rows = [scene.ask(number) for number in (1, 2)]
    monkeypatch.setattr(waiting_work, "GIVES_UP_EVERY_SECONDS", 0)
    with monkeypatch.context() as ahead:
        tomorrow = now() + timedelta(days=1)
        for module in (predictions_module, delivery_module):
            ahead.setattr(module, "now", lambda: tomorrow)
        for row in rows:
            PredictionStorage(outage.database).finish(row, DETECTION)
        [lease] = (
            DeliveryStorage(outage.database).acquire_all(rows[:1], 60.0, only_if_due=False).values()
        )
    outage.service.deliver_due(1000)
    assert outage.delivered(2) == [0, 0]
    outage.tend()
    outage.service.deliver_due(1000)
    assert outage.delivered(2) == [1, 1]
    assert not DeliveryStorage(outage.database).extend_all([lease], 60.0), "its holder is too late"


def test_a_lease_is_left_to_its_holder(outage: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    row = outage.scene.ask(1)
    monkeypatch.setattr(waiting_work, "GIVES_UP_EVERY_SECONDS", 0)
    PredictionStorage(outage.database).finish(row, DETECTION)
    [lease] = DeliveryStorage(outage.database).acquire_all([row], 60.0, only_if_due=False).values()
    outage.tend()
    assert DeliveryStorage(outage.database).extend_all([lease], 60.0)
