import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback_server import Answer, LoopbackServer, Request, as_json
from rq import Queue
from test_training_registry import OUTCOME, new_model
from waiting_rows import queued

from backend.commands.prelabel import prelabel_project
from backend.database.connection import Database
from backend.labelstudio import schemas
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.label_config import LabelConfigError
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import LabelStudioNotSet, LabelStudios, ProjectStorage
from backend.labelstudio.shapes import read
from backend.settings import Settings
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.storage import PredictionStorage
from backend.training.records import TrainingOptions
from backend.training.registry import ModelRegistry
from backend.training.storage import TrainingStorage
from model.keypoint import Box, Detection, Keypoint

CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="bus"/></KeyPointLabels></View>'
)
POINTS = tuple(Keypoint(n, 2, 1 / n, "bus") for n in range(1, 6))
DETECTION = Detection("bus", 0.9, POINTS[:3], 64, 48, Box(0, 0, 64, 48), candidates=POINTS)


class Studio:
    """The part of Label Studio that stores tasks and predictions."""

    def __init__(self) -> None:
        self.config = CONFIG
        self.tasks: dict[int, dict[str, Any]] = {}
        self.predictions: list[dict[str, Any]] = []
        self.meanwhile: Callable[[int], None] = lambda _: None  # called by every page of tasks

    def handle(self, request: Request, _: BaseHTTPRequestHandler) -> Answer:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if request.method == "POST":
            made = {**request.json, "id": len(self.predictions) + 1}
            self.predictions.append(made)
            return as_json(made, 201)
        if request.method == "PATCH":
            [found] = [each for each in self.predictions if parts.path.endswith(f"/{each['id']}/")]
            found.update(request.json)
            return as_json(found)
        if parts.path.endswith("/drafts"):
            return as_json([])
        if parts.path == "/api/projects/3/":
            return as_json(self.project)
        if parts.path == "/api/predictions/":
            return as_json(self.of(int(query["task"])))
        if parts.path == "/api/tasks/":
            try:
                return as_json(self.page(query))
            except ConnectionAbortedError:
                return as_json({"detail": "database is locked"}, 503)
        return as_json({"detail": "Not found."}, 404)

    @property
    def project(self) -> dict[str, Any]:
        return {
            "id": 3,
            "title": "Buses",
            "label_config": self.config,
            "created_at": "2026-11-22T16:44:01.618139Z",
            "task_number": len(self.tasks),
        }

    def of(self, task_id: int) -> list[dict[str, Any]]:
        return [each for each in self.predictions if each["task"] == task_id]

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        tasks = [task for _, task in sorted(self.tasks.items())]
        asked = json.loads(query["query"])
        if "filters" in asked:  # what follows a task
            after = asked["filters"]["items"][0]["value"]
            self.meanwhile(after)
            tasks = [task for task in tasks if task["id"] > after]
        else:
            tasks = [task for task in tasks if task["id"] in asked["selectedItems"]["included"]]
        chosen = tasks[: int(query["page_size"])]
        with_predictions = [{**task, "predictions": self.of(task["id"])} for task in chosen]
        return {"tasks": with_predictions, "total": len(tasks)}

    def add_tasks(self, *numbers: int, image: object = "/data/upload/3/{}.png") -> None:
        for number in numbers:
            address = image.format(number) if isinstance(image, str) else image
            self.tasks[number] = {"id": number, "data": {"image": address}, "annotations": []}


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def settings(
    server: LoopbackServer, database: Database, queue: Queue, redis_url: str, tmp_path: Any
) -> Settings:
    return Settings(
        suggest="always",
        label_studio_url=server.url,
        label_studio_api_key="token",
        database_url=f"sqlite:///{tmp_path / 'backend.sqlite3'}",
        redis_url=redis_url,
        data_dir=tmp_path,
    )


@contextmanager
def worker(settings: Settings, database: Database, unreadable: int | None = None) -> Iterator[None]:
    """Run a worker inside the block, with a detector that always finds the same."""
    service = DeliveryService(settings, database, LabelStudios(settings))
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.02):
            for prediction_id, _ in queued(PredictionStorage(database)):
                row = PredictionStorage(database).prediction(prediction_id)
                if row is not None and row.task_id == unreadable:
                    PredictionStorage(database).fail(
                        prediction_id, "expected an image, got 0 bytes"
                    )
                else:
                    PredictionStorage(database).finish(prediction_id, DETECTION)
            service.deliver_due(1000)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_every_task_gets_one_prediction(
    settings: Settings, database: Database, studio: Studio, capsys: pytest.CaptureFixture[str]
):
    studio.add_tasks(*range(1, 106))
    with worker(settings, database):
        assert prelabel_project(settings, 3) == 0
    assert sorted(each["task"] for each in studio.predictions) == list(range(1, 106))
    assert {each["model_version"] for each in studio.predictions} == {settings.model_version()}
    assert all(each["result"][0]["type"] == "keypointlabels" for each in studio.predictions)
    assert "Buses: 0 existed before, 105 are new, 0 failed" in capsys.readouterr().out


def test_running_it_again_adds_nothing_but_what_is_new(
    settings: Settings, database: Database, studio: Studio, capsys: pytest.CaptureFixture[str]
):
    studio.add_tasks(1, 2)
    with worker(settings, database):
        prelabel_project(settings, 3)
        studio.add_tasks(3)
        prelabel_project(settings, 3)
    assert sorted(each["task"] for each in studio.predictions) == [1, 2, 3]
    assert "2 existed before, 1 are new, 0 failed" in capsys.readouterr().out


def test_a_run_that_was_interrupted_goes_on_where_it_was(
    settings: Settings, database: Database, studio: Studio, capsys: pytest.CaptureFixture[str]
):
    """Tasks are added meanwhile; none is left out, none asked for twice, and all are counted."""
    studio.add_tasks(*range(1, 251))
    pages: list[int] = []

    def meanwhile(after: int) -> None:
        pages.append(after)
        if len(pages) == 2:
            studio.add_tasks(251, 252)
        if len(pages) == 3:
            raise ConnectionAbortedError

    studio.meanwhile = meanwhile
    with worker(settings, database):
        with pytest.raises(LabelStudioError):
            prelabel_project(settings, 3)
        assert prelabel_project(settings, 3) == 0
    assert pages == [0, 100, 200, 200]
    assert sorted(each["task"] for each in studio.predictions) == list(range(1, 253))
    said = capsys.readouterr()
    assert "Going on behind task 200" in said.out + said.err
    assert "0 existed before, 252 are new, 0 failed" in said.out
    # Bars that say how far it is, and how long it may still take; the second run begins at 200.
    assert re.search(r"Looking for tasks: .*\| 200/25\d \[", said.err)
    for title in ("Looking for tasks", "Pre-labelling"):
        assert re.search(rf"{title}: .*\| 252/252 \[[\d:]+<[\d:]+, .*task/s", said.err), said.err


def test_more_than_is_watched_at_once_is_waited_for(
    settings: Settings, database: Database, studio: Studio, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("backend.commands.prelabel.WATCHED_AT_ONCE", 10)
    monkeypatch.setattr("backend.commands.prelabel.POLL_SECONDS", 0.01)
    studio.add_tasks(*range(1, 46))
    with worker(settings, database):
        assert prelabel_project(settings, 3) == 0
    assert len(studio.predictions) == 45


def test_a_prediction_that_was_deleted_in_label_studio_comes_back(
    settings: Settings, database: Database, studio: Studio
):
    studio.add_tasks(1, 2)
    with worker(settings, database):
        prelabel_project(settings, 3)
        del studio.predictions[0]
        assert prelabel_project(settings, 3) == 0
    assert sorted(each["task"] for each in studio.predictions) == [1, 2]


def points(studio: Studio) -> dict[int, int]:
    """Task → number of points of its one prediction."""
    found = {each["task"]: len(each["result"]) for each in studio.predictions}
    assert len(found) == len(studio.predictions)
    return found


def test_again_resends_with_new_settings_where_nobody_has_begun_without_detecting_again(
    settings: Settings, database: Database, studio: Studio, capsys: pytest.CaptureFixture[str]
):
    studio.add_tasks(1, 2, 3)
    with worker(settings, database):
        prelabel_project(settings, 3)
    studio.add_tasks(4)
    studio.predictions.append(
        {"id": 9, "task": 4, "model_version": settings.model_version(), "result": []}
    )
    studio.tasks[2]["annotations"] = [{"id": 1, "result": []}]
    studio.tasks[3]["drafts"] = [{"id": 1, "result": []}]
    uid = ProjectStorage(database).find_uid(3)
    ProjectStorage(database).save_settings(uid, ProjectSettings(max_keypoints=5))
    assert prelabel_project(settings, 3, again=True) == 0  # no worker is needed
    assert points(studio) == {1: 5, 2: 3, 3: 3, 4: 0}
    said = capsys.readouterr().out
    assert "4 existed before, 0 are new, 0 failed" in said
    assert "  1 × changed" in said
    assert "  2 × left as they are, because someone has begun" in said
    assert "  1 × left as they are, because they did not come from this backend" in said
    assert prelabel_project(settings, 3, again=True) == 0
    assert "  1 × already as the settings say" in capsys.readouterr().out


def test_without_again_new_settings_hold_for_new_predictions_alone(
    settings: Settings, database: Database, studio: Studio
):
    studio.add_tasks(1)
    with worker(settings, database):
        prelabel_project(settings, 3)
        uid = ProjectStorage(database).find_uid(3)
        ProjectStorage(database).save_settings(uid, ProjectSettings(threshold=0.9))
        studio.add_tasks(2)
        prelabel_project(settings, 3)
    assert points(studio) == {1: 3, 2: 1}


def test_each_project_is_prelabelled_by_its_own_model(
    settings: Settings, database: Database, studio: Studio, capsys: pytest.CaptureFixture[str]
):
    uid = read(schemas.Project, studio.project).uid
    ProjectStorage(database).save_label_config(uid, CONFIG)
    trainings = TrainingStorage(database)
    training, _ = trainings.request(uid, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    own = ModelRegistry(settings, database).active(uid).version
    studio.add_tasks(1)
    with worker(settings, database):
        assert prelabel_project(settings, 3) == 0
    assert [each["model_version"] for each in studio.predictions] == [own]
    assert f"Predictions of {own} for project 3" in capsys.readouterr().out


def test_predictions_of_another_model_do_not_count(
    settings: Settings, database: Database, studio: Studio
):
    studio.add_tasks(1)
    studio.predictions.append({"id": 1, "task": 1, "model_version": "older", "result": []})
    with worker(settings, database):
        assert prelabel_project(settings, 3) == 0
    assert [each["model_version"] for each in studio.predictions] == [
        "older",
        settings.model_version(),
    ]


def test_tasks_that_fail_are_summed_up_by_reason_and_tried_again_next_time(
    settings: Settings, database: Database, studio: Studio, capsys: pytest.CaptureFixture[str]
):
    studio.add_tasks(1, 2)
    studio.add_tasks(3, 4, image=None)
    with worker(settings, database, unreadable=2):
        assert prelabel_project(settings, 3) == 1
    said = capsys.readouterr().out
    assert "0 existed before, 1 are new, 3 failed" in said
    assert "  1 × expected an image, got 0 bytes" in said
    assert "  2 × expected the address of an image in the field 'image'" in said
    studio.add_tasks(3, 4)
    with worker(settings, database):
        assert prelabel_project(settings, 3) == 0
    assert "1 existed before, 3 are new, 0 failed" in capsys.readouterr().out


def test_it_goes_on_without_redis_since_workers_queue_what_the_database_holds(
    settings: Settings, database: Database, studio: Studio, capsys: pytest.CaptureFixture[str]
):
    studio.add_tasks(1)
    nowhere = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with worker(settings, database):
        assert prelabel_project(nowhere, 3) == 0
    assert "Redis cannot be reached" in capsys.readouterr().out


def test_it_queues_one_job_a_task(
    settings: Settings, database: Database, studio: Studio, queue: Queue
):
    studio.add_tasks(1, 2)
    with worker(settings, database):
        prelabel_project(settings, 3)
    jobs = [queue.fetch_job(job_id) for job_id in queue.job_ids]
    assert [job.func_name for job in jobs if job] == [
        "backend.suggestions.detection_job.predict"
    ] * 2


def test_a_project_without_tasks_is_done_at_once(settings: Settings):
    assert prelabel_project(settings, 3) == 0


def test_a_project_without_keypoints_is_refused(settings: Settings, studio: Studio):
    studio.config = "<View><Image name='image' value='$image'/></View>"
    with pytest.raises(LabelConfigError, match="add, inside <View>, <KeyPointLabels"):
        prelabel_project(settings, 3)


def test_an_unknown_project_is_refused(settings: Settings):
    with pytest.raises(LabelStudioError, match="/api/projects/4/ with 404"):
        prelabel_project(settings, 4)


def test_without_an_address_of_label_studio_it_says_what_to_set(settings: Settings):
    with pytest.raises(LabelStudioNotSet, match="LABEL_STUDIO_URL"):
        prelabel_project(settings.model_copy(update={"label_studio_url": None}), 3)


def test_a_project_is_named_as_label_studio_names_it():
    """Its sample: project 1 made at 1795346428 s is `1.1795346428`; fractions are cut off."""
    created = "2026-11-22T11:20:28.999999Z"
    project = {"id": 1, "created_at": created, "label_config": CONFIG}
    assert read(schemas.Project, project).uid == "1.1795346428"
