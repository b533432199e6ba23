"""Replies to repeated requests, when Label Studio has, lost or deleted the first delivery."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import wait_until
from label_studio_fake import TOKEN, UID, LabelStudioFake, label_studio_fake
from rq import Queue
from test_suggestions_answers import CONTROL, VERSION, Scene, meanwhile

from backend.database.connection import Database, now
from backend.labelstudio.projects import LabelStudios
from backend.outages.records import Cause
from backend.settings import Settings
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.records import DeliveryLease
from backend.suggestions.reply import ReplyBuilder
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of


@pytest.fixture
def fake() -> Iterator[LabelStudioFake]:
    with label_studio_fake() as fake:
        yield fake


def connected(fake: LabelStudioFake, database: Database, queue: Queue, **values: Any) -> Scene:
    settings = Settings(label_studio_url=fake.url, label_studio_api_key=TOKEN, **values)
    return Scene(database, queue, settings)


def end_leases(database: Database, scene: Scene, *numbers: int) -> None:
    """End the leases of replies, as if Label Studio had had the time to store them."""
    for number in numbers:
        row = scene.row(number)
        assert row.busy_until is not None
        lease = DeliveryLease(row.id, row.busy_until)
        DeliveryStorage(database).release(lease, Cause(""), busy_until=None, check_at=None)


def test_web_and_workers_in_a_race_give_each_task_one_prediction(
    fake: LabelStudioFake, any_database: Database, queue: Queue
) -> None:
    scene = connected(fake, any_database, queue, predict_wait_batch=0.3)
    tasks = [fake.add_task(number, b"") for number in range(1, 13)]
    scene.predictions.answer(scene.project, CONTROL, tasks)
    studios = LabelStudios(scene.settings)
    stop = threading.Event()

    def deliver() -> None:
        service = DeliveryService(scene.settings, any_database, studios)
        while not stop.is_set():
            service.deliver_due(5)

    def ask() -> None:
        while not stop.is_set():
            fake.store_answers(tasks, scene.answer(*tasks))

    with ThreadPoolExecutor(4) as pool:
        acts = [pool.submit(act) for act in (deliver, deliver, ask, ask)]
        for number in range(1, 13):
            scene.finish(number)
        wait_until(lambda: all(fake.of_task(each["id"]) for each in tasks), seconds=60)
        stop.set()
        for act in acts:
            act.result(60)
    assert [len(fake.of_task(each["id"])) for each in tasks] == [1] * len(tasks)


def test_a_batch_that_was_deleted_is_answered_again(
    fake: LabelStudioFake, database: Database, queue: Queue
) -> None:
    scene = connected(fake, database, queue, predict_wait_batch=60)
    tasks = [fake.add_task(number, b"") for number in (1, 2, 3)]
    numbers = [each["id"] for each in tasks]
    PredictionStorage(database).request(
        UID,
        VERSION,
        [one for one in (wanted_of(each, CONTROL) for each in tasks) if one],
        retry_failed_before=now(),
    )
    scene.finish(*numbers)
    first = scene.answer(*tasks)
    end_leases(database, scene, *numbers)
    fake.store_answers(tasks[:1], first[:1])
    assert scene.answer(*tasks) == [[], *first[1:]]


def test_what_there_is_no_time_to_look_for_is_left_to_a_worker(
    fake: LabelStudioFake, database: Database, queue: Queue
) -> None:
    scene = connected(fake, database, queue, predict_wait_batch=0)
    tasks = [fake.add_task(number, b"") for number in (1, 2)]
    scene.answer(*tasks)
    scene.finish(1, 2)
    assert all(scene.answer(*tasks))
    end_leases(database, scene, 1, 2)
    assert scene.answer(*tasks) == [[], []]
    DeliveryService(scene.settings, database, LabelStudios(scene.settings)).deliver_due(10)
    assert [len(fake.of_task(number)) for number in (1, 2)] == [1, 1]


def test_what_a_worker_has_taken_meanwhile_is_left_to_it(
    fake: LabelStudioFake, database: Database, queue: Queue
) -> None:
    scene = connected(fake, database, queue, predict_wait_batch=0)
    task = fake.add_task(1, b"")
    scene.answer(task)
    scene.finish(1)
    assert all(scene.answer(task))
    end_leases(database, scene, 1)
    row = scene.row(1)  # as the reply reads it, just before the worker comes
    assert DeliveryStorage(database).acquire(row.id, 60, only_if_due=False)
    studios, deadline = LabelStudios(scene.settings), time.monotonic() + 60
    reply = ReplyBuilder(scene.settings, database, studios, scene.project, CONTROL, deadline)
    assert reply.answer(row) == []
    assert fake.requests == []
    assert DeliveryStorage(database).deliveries_by_way() == {"reply": 1}


def test_a_label_studio_that_refuses_us_gets_a_whole_batch_again(
    fake: LabelStudioFake, database: Database, queue: Queue
) -> None:
    scene = connected(fake, database, queue, predict_wait_batch=60)
    tasks = [fake.add_task(number, b"") for number in (1, 2, 3)]
    with meanwhile(lambda: scene.answer(*tasks)) as answers:
        wait_until(lambda: queue.count == 3)
        scene.finish(1, 2, 3)
        first = answers.result(30)
    end_leases(database, scene, 1, 2, 3)
    fake.refuses = True
    asked = len(fake.requests)
    assert scene.answer(*tasks) == first
    assert len(fake.requests) == asked + 1
