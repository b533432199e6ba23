import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import wait_until
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_fake import CONFIG, UID
from redis import Redis
from rq import Queue

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import Project, ProjectStorage
from backend.settings import Settings
from backend.suggestions.answers import RESERVATION_MARGIN, PredictService
from backend.suggestions.delivery_storage import DeliverySchedule, DeliveryStorage
from backend.suggestions.queue import job_id, make_opened_queue, make_queue
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from model.keypoint import Box, Detection, Keypoint

VERSION = "small-0123456789"
CONTROL = keypoint_control(CONFIG)
DETECTION = Detection("bus", 0.75, (Keypoint(10, 20, 0.875, "bus"),), 100, 100, Box(0, 0, 100, 100))


def task(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "data": {"image": f"/data/upload/3/{number}.png"}, **more}


class Scene:
    """A backend without workers; the test takes their part."""

    def __init__(self, database: Database, queue: Queue, settings: Settings) -> None:
        self.database, self.queue, self.settings = database, queue, settings
        self.predictions = PredictService(settings, database, queue, lambda uid: VERSION)
        ProjectStorage(database).save_label_config(UID, CONFIG)

    @property
    def project(self) -> Project:
        found = ProjectStorage(self.database).project(UID)
        assert found is not None
        return found

    def answer(self, *tasks: object) -> list[Any]:
        return self.predictions.answer(self.project, CONTROL, tasks)

    def row(self, number: int) -> Prediction:
        return PredictionStorage(self.database).of_task(number)[0]

    def finish(self, *numbers: int) -> None:
        for number in numbers:
            PredictionStorage(self.database).finish(self.row(number).id, DETECTION)


@pytest.fixture
def scene(database: Database, queue: Queue) -> Scene:
    return Scene(database, queue, Settings(predict_wait_one=0, predict_wait_batch=0))


@pytest.fixture
def patient(database: Database, queue: Queue) -> Scene:
    """As `scene`, waiting longer than any test takes."""
    return Scene(database, queue, Settings(predict_wait_one=60, predict_wait_batch=60))


@contextmanager
def meanwhile(act: Callable[[], Any]) -> Iterator[Future[Any]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(act)


def test_what_is_not_ready_is_queued_and_answered_with_nothing_yet(scene: Scene) -> None:
    assert scene.answer(task(1), task(2)) == [[], []]
    ids = [job_id(scene.row(number).id, 1) for number in (1, 2)]
    assert scene.queue.get_job_ids() == ids


def test_what_is_ready_is_answered(scene: Scene) -> None:
    scene.answer(task(1), task(2))
    scene.finish(2)
    first, second = scene.answer(task(1), task(2))
    assert first == []
    assert (second["model_version"], second["score"]) == (VERSION, 0.75)
    assert second["result"][0]["value"]["keypointlabels"] == ["bus"]
    assert scene.row(2).delivery.sent == second  # type: ignore[union-attr]


def test_asking_again_queues_nothing_twice(scene: Scene) -> None:
    for _ in range(3):
        scene.answer(task(1), task(2))
    assert scene.queue.count == 2


def test_no_tasks_have_no_answers(scene: Scene) -> None:
    assert scene.answer() == []


def test_a_task_that_comes_twice_is_answered_once(scene: Scene) -> None:
    scene.answer(task(1))
    scene.finish(1)
    first, second = scene.answer(task(1), task(1))
    assert first["result"]
    assert second == []


def test_a_bad_task_among_good_ones_harms_no_other(scene: Scene) -> None:
    scene.answer(task(1), task(2))
    scene.finish(1, 2)
    bad = [None, "text", {}, {"id": True}, {"id": 2**70, "data": {}}, {"id": 9, "data": None}]
    answers = scene.answer(task(1), *bad, task(2))
    assert len(answers) == len(bad) + 2
    assert answers[0]["result"] and answers[-1]["result"]
    assert answers[1:-1] == [[]] * len(bad)


def test_what_gets_ready_while_waiting_is_in_the_answer(patient: Scene) -> None:
    with meanwhile(lambda: patient.answer(task(1), task(2))) as answers:
        wait_until(lambda: patient.queue.count == 2)
        patient.finish(1)
        PredictionStorage(patient.database).fail(patient.row(2).id, "not an image")
        first, second = answers.result(30)
    assert first["result"]
    assert second == []


def test_of_a_large_batch_the_first_are_waited_for(
    patient: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No worker makes thousands while a request waits; and workers deliver the others at once."""
    monkeypatch.setattr("backend.suggestions.answers.MOST_AWAITED", 3)
    tasks = [task(number) for number in range(1, 7)]
    with meanwhile(lambda: patient.answer(*tasks)) as answers:
        wait_until(lambda: patient.queue.count == 6)
        assert patient.row(3).waiting_until is not None
        assert patient.row(4).waiting_until is None
        patient.finish(1, 2, 3, 4)
        found = answers.result(30)
    assert [bool(each) for each in found] == [True, True, True, False, False, False]
    assert DeliverySchedule(patient.database).due(10) == [patient.row(4).id]


def test_a_task_that_is_asked_for_alone_was_opened_by_somebody(scene: Scene) -> None:
    opened = make_opened_queue(scene.queue.connection)
    scene.answer(task(1), task(2))
    assert [scene.row(number).opened_at for number in (1, 2)] == [None, None]
    scene.answer(task(2))
    scene.answer(task(3))
    moments = [scene.row(number).opened_at for number in (2, 3)]
    assert None not in moments
    names = [job_id(scene.row(number).id, 1, opened=True) for number in (2, 3)]
    assert opened.get_job_ids() == names
    scene.answer(task(1), task(2), task(3))
    assert [scene.row(number).opened_at for number in (2, 3)] == moments
    assert opened.get_job_ids() == names


def test_while_a_web_process_waits_workers_leave_it_alone(patient: Scene) -> None:
    with meanwhile(lambda: patient.answer(task(1), task(2))) as answers:
        wait_until(lambda: patient.queue.count == 2)
        until = patient.row(1).waiting_until
        assert until is not None
        assert 0 < (until - now()).total_seconds() - RESERVATION_MARGIN.total_seconds() <= 60
        patient.finish(1, 2)
        answers.result(30)
    assert patient.row(1).waiting_until is None


def test_what_was_not_ready_in_time_is_left_to_the_workers(
    database: Database, queue: Queue
) -> None:
    hasty = Scene(database, queue, Settings(predict_wait_one=0.2))
    assert hasty.answer(task(1)) == [[]]
    assert hasty.row(1).waiting_until is None
    hasty.finish(1)
    assert DeliverySchedule(database).due(10) == [hasty.row(1).id]


def test_of_many_who_ask_at_once_one_is_answered(patient: Scene) -> None:
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(patient.answer, task(1), task(2)) for _ in range(6)]
        wait_until(lambda: patient.queue.count == 2)
        patient.finish(1, 2)
        answers = [each.result(30) for each in asked]
    for position in (0, 1):
        assert sum(bool(answer[position]) for answer in answers) == 1
    assert DeliveryStorage(patient.database).deliveries_by_way() == {"reply": 2}


def test_threads_that_may_not_wait_answer_at_once(database: Database, queue: Queue) -> None:
    scene = Scene(database, queue, Settings(predict_wait_one=60, threads=2))
    with meanwhile(lambda: scene.answer(task(1))) as waiting:
        wait_until(lambda: make_opened_queue(queue.connection).count == 1)
        began = time.monotonic()
        assert scene.answer(task(2)) == [[]]
        assert time.monotonic() - began < 30
        assert not waiting.done()
        scene.finish(1)
        assert waiting.result(30)[0]["result"]


def test_what_a_reply_has_no_time_for_is_left_to_the_workers(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.answer(task(1), task(2))
    scene.finish(1)
    monkeypatch.setattr("backend.suggestions.answers.LONGEST_ANSWER_SECONDS", -1.0)
    assert scene.answer(task(1), task(2), task(3)) == [[], [], []]
    assert DeliverySchedule(scene.database).due(10) == [scene.row(1).id]
    assert scene.row(3).status == "queued"


def test_without_redis_the_answer_is_not_yet_and_nothing_is_lost(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    away = make_queue(Redis(port=1, socket_connect_timeout=1, retry=None))
    scene = Scene(database, away, Settings(predict_wait_one=0.1))
    with caplog.at_level(logging.ERROR):
        assert scene.answer(task(1)) == [[]]
    assert "Redis cannot be written to" in caplog.text
    assert scene.row(1).status == "queued"
    scene.finish(1)
    assert scene.answer(task(1))[0]["result"]


def test_a_redis_that_refuses_writes_keeps_nobody_waiting(patient: Scene) -> None:
    """As after a failed snapshot (MISCONF) or without its replicas."""
    redis = patient.queue.connection
    redis.config_set("min-replicas-to-write", 1)
    try:
        with meanwhile(lambda: patient.answer(task(1))) as answers:
            assert answers.result(30) == [[]]
        drawing = (patient.project, CONTROL, task(2), {"result": []})
        with meanwhile(lambda: patient.predictions.answer_interactive(*drawing)) as answers:
            assert answers.result(30)["result"] == []
    finally:
        redis.config_set("min-replicas-to-write", 0)
    assert patient.row(1).status == "queued"


def test_what_failed_is_tried_again_after_a_while(database: Database, queue: Queue) -> None:
    scene = Scene(database, queue, Settings(predict_wait_one=0, retry_failed_after=3600))
    scene.answer(task(1))
    PredictionStorage(database).fail(scene.row(1).id, "not an image")
    assert scene.answer(task(1)) == [[]]
    assert scene.row(1).status == "failed"
    soon = Scene(database, queue, Settings(predict_wait_one=0, retry_failed_after=0))
    assert soon.answer(task(1)) == [[]]
    row = scene.row(1)
    assert (row.status, row.reason) == ("queued", None)
    jobs = make_opened_queue(queue.connection).get_job_ids()
    assert job_id(row.id, 2, opened=True) in jobs


# What a task asks for

RECTANGLE = {
    "type": "rectangle",
    "to_name": "image",
    "value": {"x": 10, "y": 20, "width": 30, "height": 40},
}


def test_a_box_makes_another_prediction_of_the_same_image() -> None:
    box = {"x": 10, "y": 20, "width": 30, "height": 40}
    plain = wanted_of(task(1), CONTROL)
    in_data = wanted_of({"id": 1, "data": {**task(1)["data"], "box": box}}, CONTROL)
    drawn = wanted_of(task(1, annotations=[{"result": [RECTANGLE]}]), CONTROL)
    assert plain and in_data and drawn
    assert plain.task == {}
    assert in_data.input_sha256 == drawn.input_sha256 != plain.input_sha256
    assert in_data.task["data"] == {"box": box}


def test_what_else_was_annotated_makes_no_difference() -> None:
    point = {"type": "keypointlabels", "to_name": "image", "value": {"x": 1, "y": 2}}
    annotated = task(1, annotations=[{"result": [point]}], meta={"a": 1})
    assert wanted_of(annotated, CONTROL) == wanted_of(task(1), CONTROL)


@pytest.mark.parametrize(
    "data", [{}, None, {"image": None}, {"image": ""}, {"image": 5}, {"image": "a\0b"}]
)
def test_a_task_without_an_image_says_what_is_missing(data: object) -> None:
    found = wanted_of({"id": 1, "data": data}, CONTROL)
    assert found is not None
    assert found.refusal is not None
    assert "'image'" in found.refusal


def test_a_malformed_box_is_refused_with_the_reason() -> None:
    found = wanted_of({"id": 1, "data": {"image": "/a.png", "box": "left half"}}, CONTROL)
    assert found is not None
    assert "expected a box" in (found.refusal or "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["id", "data", "annotations", "drafts", "result", "image", "box", "value"])
tasks = st.dictionaries(
    fields,
    json_values
    | st.integers(1, 9)
    | st.dictionaries(fields, json_values)
    | st.lists(st.dictionaries(fields, json_values | st.lists(st.just(RECTANGLE)))),
)


@settings(max_examples=50)
@given(tasks | json_values)
def test_whatever_a_task_is_nothing_breaks(anything: object) -> None:
    found = wanted_of(anything, CONTROL)
    assert found is None or found.refusal or found.image_url
