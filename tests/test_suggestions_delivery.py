"""Label Studio gets each prediction once, whichever process dies at whatever moment.

An object takes the part of Label Studio, because it has to fail, and other processes have to act,
at exact moments between two requests. The tests set the clock. `test_suggestions_detection_job.py`
uses a real server.
"""

import copy
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from label_studio_fake import CONFIG, UID
from redis import Redis

from backend import retries
from backend.database.connection import Database
from backend.labelstudio.client import WRITE_TIMEOUT
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import LabelStudios, Project, ProjectStorage, project_id_of
from backend.labelstudio.schemas import Prediction as StoredPrediction
from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import read, read_each
from backend.settings import Settings
from backend.suggestions import answers, delivery, delivery_storage, leases, reply, storage
from backend.suggestions.answers import PredictService
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.queue import make_queue
from backend.suggestions.records import Prediction
from backend.suggestions.storage import PredictionStorage
from model.keypoint import Box, Detection, Keypoint

VERSION = "small-0123456789"
CONTROL = keypoint_control(CONFIG)
DETECTION = Detection("bus", 0.75, (Keypoint(10, 20, 0.875, "bus"),), 100, 100, Box(0, 0, 100, 100))
TASK = {"id": 1, "data": {"image": "/data/upload/3/a.png"}}
START = datetime(2026, 11, 22, tzinfo=UTC)
SETTINGS = Settings()


class Killed(BaseException):
    """The process that talks to Label Studio was killed."""


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Studio:
    """The part of Label Studio; each fault and each interruption happens once.

    Attributes:
        stored: predictions that it has.
        late: predictions that reached it and that it will store in a moment.
        interruptions: what others do before it answers, in turn.
        fault: "down" before anything; on a POST "killed before", "killed after", "killed
            meanwhile", "500 after storing", "stores late".
    """

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []
        self.late: list[dict[str, Any]] = []
        self.interruptions: list[Callable[[], None]] = []
        self.fault: str | None = None
        self.image = TASK["data"]["image"]  # type: ignore[index]
        self.posts, self.looks = 0, 0

    def predictions(self, task_id: int) -> list[StoredPrediction]:
        found = read_each(StoredPrediction, copy.deepcopy(self.stored))
        self._interrupted("killed looking")
        return found

    def task(self, project_id: int, task_id: int, *, fields: str) -> Task | None:
        assert (project_id, task_id, fields) == (project_id_of(UID), 1, "all")
        if self.image is None:
            self._interrupted("killed looking at the task")
            return None
        stored = copy.deepcopy(self.stored)
        self.looks += 1
        self._interrupted("killed looking at the task")
        return read(Task, {"id": 1, "data": {"image": self.image}, "predictions": stored})

    def create_prediction(self, task_id: int, prediction: dict[str, Any]) -> int:
        fault = self._take_fault(
            *("killed before", "killed after", "killed meanwhile"),
            *("500 after storing", "stores late"),
        )
        if fault == "killed before":
            raise Killed
        self.posts += 1
        if fault == "killed meanwhile":
            self.late.append(prediction)
            raise Killed
        if fault == "stores late":
            self.late.append(prediction)
            raise LabelStudioError("no answer within 10 s", retryable=True)
        self.store(prediction)
        if fault == "killed after":
            raise Killed
        if fault == "500 after storing":
            raise LabelStudioError("database is locked", retryable=True, status=500)
        return int(self.stored[-1]["id"])

    def store(self, prediction: dict[str, Any]) -> None:
        self.stored.append({**prediction, "id": 100 + self.posts * 100 + len(self.stored)})

    def store_late_ones(self) -> None:
        while self.late:
            self.store(self.late.pop())

    def _interrupted(self, killed: str) -> None:
        if self.interruptions:
            self.interruptions.pop(0)()
        fault = self._take_fault("down", killed)
        if fault == "down":
            raise LabelStudioError("it is down", retryable=True, status=503)
        if fault == killed:
            raise Killed

    def _take_fault(self, *which: str) -> str | None:
        if self.fault in which:
            fault, self.fault = self.fault, None
            return fault
        return None


class Studios(LabelStudios):
    """One Label Studio for every project."""

    def __init__(self, studio: Studio) -> None:
        super().__init__(SETTINGS)
        self._studio = studio

    def of(self, project: Project) -> Any:
        return self._studio


class Scene:
    """A database with one prediction, any number of workers and web processes, and their clock."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock, self.studio = database, Clock(), Studio()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(retries, "jittered", lambda pause: pause)
        for module in (delivery, delivery_storage, answers, reply, storage):
            self.patches.setattr(module, "now", self.clock)
        ProjectStorage(self.database).save_connection(
            UID, hostname="http://studio", access_token="t", label_config=CONFIG
        )
        studios = Studios(self.studio)
        self.service = DeliveryService(SETTINGS, database, studios)
        nowhere = make_queue(Redis(port=1, socket_connect_timeout=1, retry=None))
        self.web = PredictService(SETTINGS, database, nowhere, lambda uid: VERSION)
        self.patches.setattr(self.web, "_studios", studios)

    def close(self) -> None:
        self.patches.undo()

    def make_ready(self) -> None:
        wanted = answers.wanted_of(TASK, CONTROL)
        assert wanted is not None
        [row] = PredictionStorage(self.database).request(
            UID, VERSION, [wanted], retry_failed_before=START
        )
        PredictionStorage(self.database).finish(row.id, DETECTION)

    def answer(self) -> Any:
        project = ProjectStorage(self.database).project(UID)
        assert project is not None
        [answer] = self.web.answer(project, CONTROL, [TASK])
        return answer

    def deliver(self) -> None:
        self.service.deliver_due(10)

    def row(self) -> Prediction:
        [row] = PredictionStorage(self.database).of_task(1)
        return row


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    made = Scene(database)
    made.make_ready()
    yield made
    made.close()


def test_a_worker_delivers_what_nobody_waits_for(scene: Scene) -> None:
    scene.deliver()
    [stored] = scene.studio.stored
    assert stored["model_version"] == VERSION
    latest = scene.row().delivery
    assert latest is not None
    assert (latest.way, latest.label_studio_id) == ("push", stored["id"])
    assert latest.sent["result"] == stored["result"]
    scene.clock.pass_by(100_000)
    scene.deliver()
    assert len(scene.studio.stored) == 1


def test_a_reply_is_looked_after_and_its_key_noted(scene: Scene) -> None:
    answer = scene.answer()
    scene.studio.store(answer)
    scene.clock.pass_by(delivery.REPLY_CHECKED_AFTER_SECONDS + 1)
    scene.deliver()
    latest = scene.row().delivery
    assert latest is not None
    assert (latest.way, latest.sent) == ("reply", answer)
    assert latest.label_studio_id == scene.studio.stored[0]["id"]
    assert scene.studio.posts == 0


def test_a_reply_that_never_arrived_is_delivered_by_a_worker(scene: Scene) -> None:
    assert scene.answer()
    scene.clock.pass_by(delivery.REPLY_CHECKED_AFTER_SECONDS - 1)
    scene.deliver()
    assert scene.studio.stored == []
    scene.clock.pass_by(2)
    scene.deliver()
    assert len(scene.studio.stored) == 1
    assert DeliveryStorage(scene.database).deliveries_by_way() == {"reply": 1, "push": 1}


def test_asked_again_at_once_the_answer_is_not_yet(scene: Scene) -> None:
    assert scene.answer()
    assert scene.answer() == []
    scene.clock.pass_by(delivery.REPLY_SETTLES_SECONDS - 1)
    assert scene.answer() == []


def test_a_repeated_request_for_a_delivered_prediction_is_answered_with_nothing(
    scene: Scene,
) -> None:
    scene.studio.store(scene.answer())
    scene.clock.pass_by(delivery.REPLY_SETTLES_SECONDS + 1)
    assert scene.answer() == []
    assert scene.row().delivery.label_studio_id == scene.studio.stored[0]["id"]  # type: ignore[union-attr]


def test_a_repeated_request_for_a_deleted_prediction_is_answered_with_it_again(
    scene: Scene,
) -> None:
    first = scene.answer()
    scene.clock.pass_by(delivery.REPLY_SETTLES_SECONDS + 1)
    assert scene.answer() == first
    assert scene.answer() == []
    assert scene.row().deliveries == 2


def test_while_a_worker_talks_to_label_studio_the_answer_is_not_yet(scene: Scene) -> None:
    answers = []
    scene.studio.interruptions.append(lambda: answers.append(scene.answer()))
    scene.deliver()
    assert answers == [[]]
    assert len(scene.studio.stored) == 1


def test_asked_again_while_label_studio_cannot_be_asked_it_gets_it_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    first = scene.answer()
    scene.clock.pass_by(delivery.REPLY_SETTLES_SECONDS + 1)
    scene.studio.fault = "down"
    with caplog.at_level(logging.WARNING):
        assert scene.answer() == first
    assert "cannot be searched" in caplog.text
    assert "task 1" in caplog.text


def test_a_slow_label_studio_does_not_get_it_twice(scene: Scene) -> None:
    scene.studio.fault = "stores late"
    scene.deliver()
    assert scene.answer() == []
    scene.clock.pass_by(retries.DELIVERY.first - 1)
    scene.deliver()
    scene.studio.store_late_ones()
    scene.clock.pass_by(2)
    scene.deliver()
    assert (scene.studio.posts, len(scene.studio.stored)) == (1, 1)
    assert scene.row().delivery.label_studio_id is not None  # type: ignore[union-attr]


def test_what_did_not_arrive_is_delivered_again_as_the_same_delivery(scene: Scene) -> None:
    scene.studio.fault = "killed before"
    with pytest.raises(Killed):
        scene.deliver()
    scene.clock.pass_by(delivery.LEASE_SECONDS + 1)
    scene.deliver()
    assert len(scene.studio.stored) == 1
    assert DeliveryStorage(scene.database).deliveries_by_way() == {"push": 1}


def test_what_a_dead_worker_had_not_sent_waits_for_a_short_time(scene: Scene) -> None:
    scene.studio.fault = "killed looking at the task"
    with pytest.raises(Killed):
        scene.deliver()
    scene.clock.pass_by(delivery.SHORT_LEASE_SECONDS - 1)
    scene.deliver()
    assert scene.studio.stored == []
    scene.clock.pass_by(2)
    scene.deliver()
    assert (scene.studio.posts, len(scene.studio.stored)) == (1, 1)


def test_what_a_dead_worker_was_sending_waits_until_label_studio_has_stored_it(
    scene: Scene,
) -> None:
    """Its request may be under way for as long as a request may take."""
    scene.studio.fault = "killed meanwhile"
    with pytest.raises(Killed):
        scene.deliver()
    scene.clock.pass_by(delivery.LEASE_SECONDS - 1)
    scene.deliver()
    assert scene.studio.posts == 1
    scene.studio.store_late_ones()
    scene.clock.pass_by(2)
    scene.deliver()
    assert (scene.studio.posts, len(scene.studio.stored)) == (1, 1)
    assert 4 * WRITE_TIMEOUT < delivery.LEASE_SECONDS


def test_a_look_that_takes_long_keeps_its_lease(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two workers could take a prediction from each other again and again."""
    monkeypatch.setattr(leases, "RENEWED_EVERY_SECONDS", 0.01)

    def look_for_a_minute() -> None:
        for _ in range(6):
            until = scene.row().busy_until
            scene.clock.pass_by(10)
            wait_until(lambda until=until: scene.row().busy_until != until)
            scene.deliver()

    scene.studio.interruptions.append(look_for_a_minute)
    scene.deliver()
    assert (scene.studio.posts, len(scene.studio.stored)) == (1, 1)
    assert scene.studio.looks == 1


@pytest.mark.parametrize("died_before", [False, True])
def test_whoever_was_paused_for_long_comes_too_late(scene: Scene, died_before: bool) -> None:
    def another_takes_over() -> None:
        scene.clock.pass_by(delivery.LEASE_SECONDS + 1)
        scene.deliver()

    if died_before:
        scene.studio.fault = "killed before"
        with pytest.raises(Killed):
            scene.deliver()
        scene.clock.pass_by(delivery.LEASE_SECONDS + 1)
    scene.studio.interruptions.append(another_takes_over)
    scene.deliver()
    assert (scene.studio.posts, len(scene.studio.stored)) == (1, 1)


def test_what_label_studio_has_already_is_noted_as_found(scene: Scene) -> None:
    scene.studio.store({"result": [{"id": "a"}], "score": 0.5, "model_version": VERSION})
    scene.deliver()
    latest = scene.row().delivery
    assert latest is not None
    assert (latest.way, latest.label_studio_id) == ("found", scene.studio.stored[0]["id"])
    assert latest.sent == {"result": [{"id": "a"}], "score": 0.5, "model_version": VERSION}
    assert scene.studio.posts == 0


def test_what_another_worker_has_noted_as_found_is_not_noted_twice(scene: Scene) -> None:
    def another_takes_over() -> None:
        scene.clock.pass_by(delivery.LEASE_SECONDS + 1)
        scene.deliver()

    scene.studio.store({"result": [{"id": "a"}], "score": 0.5, "model_version": VERSION})
    scene.studio.interruptions.append(another_takes_over)
    scene.deliver()
    assert DeliveryStorage(scene.database).deliveries_by_way() == {"found": 1}
    assert scene.row().delivery.label_studio_id == scene.studio.stored[0]["id"]  # type: ignore[union-attr]


def test_predictions_of_other_versions_do_not_count(scene: Scene) -> None:
    scene.studio.store({"result": [], "score": 0.5, "model_version": "another"})
    scene.deliver()
    assert [each["model_version"] for each in scene.studio.stored] == ["another", VERSION]


def test_of_two_the_one_with_our_regions_is_ours(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.studio.store({"result": [{"id": "x"}], "score": 0.5, "model_version": VERSION})
    answer = scene.answer()
    scene.studio.store(answer)
    scene.clock.pass_by(delivery.REPLY_CHECKED_AFTER_SECONDS + 1)
    with caplog.at_level(logging.WARNING):
        scene.deliver()
    assert scene.row().delivery.label_studio_id == scene.studio.stored[1]["id"]  # type: ignore[union-attr]
    assert "has 2 predictions" in caplog.text


@pytest.mark.parametrize("image", ["/data/upload/3/another.png", None])
def test_a_task_that_is_another_now_gets_nothing(scene: Scene, image: str | None) -> None:
    scene.studio.image = image
    scene.deliver()
    scene.clock.pass_by(1000)
    scene.deliver()
    assert scene.studio.stored == []
    row = scene.row()
    assert row.status == "ready"
    assert "kept here and not delivered" in (row.reason or "")
    assert row.check_at is None


def test_a_task_that_cannot_be_looked_at_now_is_looked_at_later(scene: Scene) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LabelStudioError("no tasks", retryable=True, status=503)

    scene.patches.setattr(scene.studio, "task", refuse)
    scene.deliver()
    assert scene.row().reason == "no tasks"
    assert scene.row().check_at == scene.clock() + timedelta(seconds=retries.DELIVERY.first)


def test_a_prediction_of_a_project_without_a_number_is_kept_here(scene: Scene) -> None:
    ProjectStorage(scene.database).save_label_config("mine", CONFIG)
    wanted = answers.wanted_of({**TASK, "id": 2}, CONTROL)
    assert wanted is not None
    predictions = PredictionStorage(scene.database)
    [row] = predictions.request("mine", VERSION, [wanted], retry_failed_before=START)
    predictions.finish(row.id, DETECTION)
    scene.service.deliver(row.id)
    [kept] = predictions.of_task(2)
    assert "such as 3.1795347724, got mine: the prediction is kept here" in (kept.reason or "")
    assert kept.check_at is None
    assert scene.studio.posts == 0


def test_a_label_studio_that_is_down_is_asked_again_less_and_less_often(scene: Scene) -> None:
    pauses = []
    for _ in range(8):
        scene.studio.fault = "down"
        scene.deliver()
        row = scene.row()
        assert row.check_at is not None
        assert row.reason == "it is down"
        pauses.append((row.check_at - scene.clock()).total_seconds())
        scene.clock.moment = row.check_at
    assert pauses == [15, 30, 60, 120, 240, 480, 600, 600]
    scene.deliver()
    assert len(scene.studio.stored) == 1
    assert scene.row().reason is None


def test_after_a_day_nobody_tries_any_more(scene: Scene) -> None:
    scene.studio.fault = "down"
    scene.deliver()
    scene.clock.pass_by(SETTINGS.give_up_after + 1)
    scene.studio.fault = "down"
    scene.deliver()
    assert scene.row().check_at is None
    assert scene.answer()


def test_a_reply_that_we_may_not_look_after_counts_as_arrived(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.answer()

    def refuse(*_: object, **__: object) -> Any:
        raise LabelStudioError("Invalid token.", retryable=False, status=401)

    monkeypatch.setattr(scene.studio, "task", refuse)
    scene.clock.pass_by(delivery.REPLY_CHECKED_AFTER_SECONDS + 1)
    scene.deliver()
    assert scene.row().check_at is None


def test_the_same_failure_is_a_warning_only_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            scene.studio.fault = "down"
            scene.deliver()
            scene.clock.pass_by(700)
    [warning] = caplog.messages
    assert "Task 1 of project 3.1795347724" in warning


def test_a_failure_is_a_warning_again_when_it_was_forgotten_among_many_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "MOST_REMEMBERED", 1)
    with caplog.at_level(logging.WARNING):
        for config in (CONFIG, "<View/>", CONFIG):
            ProjectStorage(scene.database).save_label_config(UID, config)
            if config == CONFIG:
                scene.studio.fault = "down"
            scene.deliver()
            scene.clock.pass_by(700)
    assert [message.endswith("it is down") for message in caplog.messages] == [True, False, True]


def test_an_answer_that_nobody_thought_of_is_logged_whole_and_put_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scene.studio, "task", lambda *_, **__: {"detail": "moved"})
    scene.deliver()
    assert "Traceback" in caplog.text
    assert scene.row().check_at == scene.clock() + timedelta(seconds=retries.DELIVERY.first)


def test_a_configuration_without_keypoints_puts_the_delivery_off(scene: Scene) -> None:
    ProjectStorage(scene.database).save_label_config(UID, "<View/>")
    scene.deliver()
    assert "control for keypoints" in (scene.row().reason or "")
    ProjectStorage(scene.database).save_label_config(UID, CONFIG)
    scene.clock.pass_by(700)
    scene.deliver()
    assert len(scene.studio.stored) == 1


# Everything in any order


@cache
def empty_database() -> bytes:
    """The file of a migrated database; migrating one for each example would take too long."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backend.sqlite3"
        made = Database(f"sqlite:///{path}")
        made.migrate()
        made.close()
        return path.read_bytes()


class OnePrediction(RuleBasedStateMachine):
    """Requests, replies, deaths, pauses, lost answers and deletions in any order.

    Label Studio asks only while it has none, and stores or loses an answer within 8 s.
    """

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="delivery-"))
        path = self.folder / "backend.sqlite3"
        path.write_bytes(empty_database())
        self.scene = Scene(Database(f"sqlite:///{path}"))
        self.scene.make_ready()
        self.asks = 0
        self.replies: list[Any] = []
        self.deleted = False

    def _answer(self) -> None:
        if self.asks:
            self.asks -= 1
            answer = self.scene.answer()
            if answer:
                self.replies.append(answer)

    def _settle(self) -> None:
        """Let everything that is on its way arrive."""
        self.scene.studio.store_late_ones()
        while self.replies:
            self.scene.studio.store(self.replies.pop())

    def _wait(self, seconds: float) -> None:
        if seconds > 8:
            self._settle()
            # Label Studio waits for an answer no longer than that.
            self.asks = 0
        self.scene.clock.pass_by(seconds)

    @precondition(lambda self: not self.scene.studio.stored)
    @rule()
    def label_studio_decides_to_ask(self) -> None:
        self.asks += 1

    @rule()
    def a_web_process_answers(self) -> None:
        self._answer()

    @precondition(lambda self: self.replies)
    @rule(arrives=st.booleans())
    def an_answer_arrives_or_is_lost(self, arrives: bool) -> None:
        answer = self.replies.pop()
        if arrives:
            self.scene.studio.store(answer)

    @rule(
        fault=st.sampled_from(
            [
                None,
                "down",
                "killed looking at the task",
                "killed before",
                "killed after",
                "killed meanwhile",
                "500 after storing",
                "stores late",
            ]
        ),
        meanwhile=st.lists(st.sampled_from(["ask", "deliver", "pause", "short pause"]), max_size=3),
    )
    def a_worker_delivers(self, fault: str | None, meanwhile: list[str]) -> None:
        acts = {
            "ask": self._answer,
            "deliver": self.scene.deliver,
            "pause": lambda: self._wait(delivery.LEASE_SECONDS + 1),
            "short pause": lambda: self._wait(delivery.SHORT_LEASE_SECONDS + 1),
        }
        self.scene.studio.interruptions = [acts[name] for name in meanwhile]
        self.scene.studio.fault = fault
        try:
            self.scene.deliver()
        except Killed:
            pass
        finally:
            self.scene.studio.interruptions, self.scene.studio.fault = [], None

    @rule(seconds=st.sampled_from([1, 7, 12, 20, 65, 130, 700]))
    def time_passes(self, seconds: float) -> None:
        self._wait(seconds)

    @precondition(lambda self: self.scene.studio.stored)
    @rule()
    def the_user_deletes_it(self) -> None:
        self.scene.studio.stored.clear()
        self.deleted = True

    @invariant()
    def label_studio_never_has_two(self) -> None:
        studio = self.scene.studio
        assert len(studio.stored) + len(studio.late) + len(self.replies) <= 1

    def teardown(self) -> None:
        if not hasattr(self, "scene"):
            return
        self._settle()
        for _ in range(4):
            self.scene.clock.pass_by(700)
            self.scene.deliver()
        try:
            if not self.deleted:
                assert len(self.scene.studio.stored) == 1
            assert len(self.scene.studio.stored) <= 1
        finally:
            self.scene.close()
            self.scene.database.close()
            shutil.rmtree(self.folder)


TestOnePrediction = OnePrediction.TestCase
TestOnePrediction.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow],
)
