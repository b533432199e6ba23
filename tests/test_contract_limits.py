"""Floods of forged requests, over real HTTP and on both databases."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import at_once
from label_studio_fake import CONFIG, UID
from redis import Redis
from rq import Queue
from web_server import served

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.storage import PredictionStorage
from backend.training.queue import make_training_queue
from backend.training.storage import TrainingStorage
from backend.verdicts.storage import EventStorage
from backend.web.app import create_app

Serve = Callable[..., str]


@pytest.fixture
def serve(any_database: Database, queue: Queue, unread_weights: Path) -> Iterator[Serve]:
    """Start the web application with these settings; returns its address."""
    with ExitStack() as stack:

        def start(**limits: Any) -> str:
            settings = Settings(
                model_weights=str(unread_weights),
                predict_wait_one=0,
                predict_wait_batch=0,
                suggest="always",
                **limits,
            )
            return stack.enter_context(served(create_app(settings, any_database, queue)))

        yield start


def training_of(number: int) -> dict[str, Any]:
    made_at = "2026-11-22T12:00:00Z"
    project = {"id": number, "created_at": made_at, "label_config": CONFIG}
    return {"action": "START_TRAINING", "project": project}


def predict(url: str, *tasks: int, uid: str = UID) -> requests.Response:
    body = {
        "project": uid,
        "label_config": CONFIG,
        "tasks": [{"id": each, "data": {"image": f"/data/{each}.png"}} for each in tasks],
    }
    return requests.post(f"{url}/predict", json=body, timeout=60)


def expect_refusal(answer: requests.Response, setting: str) -> None:
    """The reason stands in the status line as well, because Label Studio shows nothing else."""
    assert answer.status_code in (429, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert setting in answer.json()["error"]
    assert setting in answer.reason


def test_of_two_hundred_forged_trainings_few_are_queued(
    serve: Serve, any_database: Database, redis_connection: Redis
) -> None:
    url = serve(max_waiting_trainings=20)
    ProjectStorage(any_database).save_label_config(UID, CONFIG)

    def press(number: int) -> requests.Response:
        return requests.post(f"{url}/webhook", json=training_of(number), timeout=60)

    answers = []
    for first in range(100, 300, 4):
        answers += at_once(4, lambda number, first=first: press(first + number))
    accepted = Counter(each.status_code for each in answers)[200]
    # Requests at the same moment may each see the last free place.
    assert 20 <= accepted <= 24
    assert len(TrainingStorage(any_database).latest(300)) == accepted
    assert make_training_queue(redis_connection).count == accepted
    expect_refusal(answers[-1], "MAX_WAITING_TRAININGS=20")
    assert EventStorage(any_database).events_by_action() == {"START_TRAINING": accepted}


def test_a_project_that_trains_already_may_press_again(serve: Serve) -> None:
    url = serve(max_waiting_trainings=1)
    for _ in range(3):
        assert requests.post(f"{url}/webhook", json=training_of(3), timeout=60).status_code == 200


def test_a_project_trains_so_often_a_day_only(serve: Serve, any_database: Database) -> None:
    url, trainings = serve(max_trainings_per_day=2), TrainingStorage(any_database)
    for _ in range(2):
        answer = requests.post(f"{url}/webhook", json=training_of(3), timeout=60)
        trainings.fail(answer.json()["training"], "no labels")
    answer = requests.post(f"{url}/webhook", json=training_of(3), timeout=60)
    expect_refusal(answer, "MAX_TRAININGS_PER_DAY=2")
    assert 86_000 < int(answer.headers["Retry-After"]) <= 86_400
    assert requests.post(f"{url}/webhook", json=training_of(4), timeout=60).status_code == 200


def test_a_project_has_so_many_waiting_tasks_only(
    serve: Serve, any_database: Database, queue: Queue
) -> None:
    url = serve(max_waiting_tasks=10)
    assert predict(url, *range(1, 9)).status_code == 200
    expect_refusal(predict(url, 9, 10, 11), "MAX_WAITING_TASKS=10")
    assert predict(url, 9, 10).status_code == 200
    expect_refusal(predict(url, 11), "MAX_WAITING_TASKS=10")
    assert queue.count == 10
    assert PredictionStorage(any_database).predictions_by_status() == {"queued": 10}
    assert predict(url, 1, uid="4.1795347724").status_code == 200, "of another project"


def test_the_limit_holds_for_another_web_process(serve: Serve) -> None:
    first, second = serve(max_waiting_tasks=3), serve(max_waiting_tasks=3)
    assert predict(first, 1, 2, 3).status_code == 200
    expect_refusal(predict(second, 4), "MAX_WAITING_TASKS=3")


def test_there_are_so_many_projects_only(serve: Serve, any_database: Database) -> None:
    url = serve(max_projects=3)
    answers = [predict(url, 1, uid=f"{number}.1795347724") for number in range(1, 6)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    expect_refusal(answers[-1], "MAX_PROJECTS=3")
    body = {"project": "9.1", "schema": CONFIG}
    expect_refusal(requests.post(f"{url}/setup", json=body, timeout=60), "MAX_PROJECTS=3")
    training = requests.post(f"{url}/webhook", json=training_of(9), timeout=60)
    expect_refusal(training, "MAX_PROJECTS=3")
    assert predict(url, 2, uid="1.1795347724").status_code == 200, "one that is known"
    assert ProjectStorage(any_database).count() == 3


def test_a_flood_of_events_is_cut_off_and_other_projects_go_on(
    serve: Serve, any_database: Database
) -> None:
    for uid in ("3.1795347724", "4.1795347724"):
        ProjectStorage(any_database).save_label_config(uid, CONFIG)
    url = serve(max_requests_per_minute=5)

    def send(project_id: int) -> requests.Response:
        event = {"action": "ANNOTATION_CREATED", "project": {"id": project_id}}
        return requests.post(f"{url}/webhook", json=event, timeout=60)

    # At most two minutes begin while these are sent.
    flood = [send(3) for _ in range(30)]
    accepted = sum(each.status_code == 200 for each in flood)
    assert 5 <= accepted <= 10
    refused = next(each for each in flood if each.status_code != 200)
    expect_refusal(refused, "MAX_REQUESTS_PER_MINUTE=5")
    assert send(4).status_code == 200
    made_up = [send(number).status_code for number in range(100, 130)]
    assert 5 <= made_up.count(200) <= 10, "unknown projects count as one"
    stored = EventStorage(any_database).events_by_action()["ANNOTATION_CREATED"]
    assert stored == accepted + 1 + made_up.count(200)


def test_a_disk_that_is_nearly_full_takes_no_new_work(
    database: Database, queue: Queue, unread_weights: Path, tmp_path: Path
) -> None:
    free = shutil.disk_usage(tmp_path).free // 2**20
    settings = Settings(
        model_weights=str(unread_weights), data_dir=tmp_path, min_free_disk=2 * free
    )
    with served(create_app(settings, database, queue)) as url:
        for answer in (
            predict(url, 1),
            requests.post(f"{url}/webhook", json=training_of(3), timeout=60),
            requests.post(f"{url}/setup", json={"project": UID, "schema": CONFIG}, timeout=60),
        ):
            assert answer.status_code == 503
            expect_refusal(answer, f"MIN_FREE_DISK={2 * free}")
        assert requests.get(f"{url}/report", timeout=60).status_code == 200
    assert EventStorage(database).events() == []
    assert ProjectStorage(database).count() == 0
