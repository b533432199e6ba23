"""A week of use, with new work and without: nothing grows but data.

The clock is driven forward some hours at a time, for the backend and for RQ. Redis' own cannot be,
so each of its keys must either end by itself or be there after three days as well.
"""

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import rq.registry
from flask.testing import FlaskClient
from label_studio_fake import CONFIG, TOKEN, LabelStudioFake, label_studio_fake
from loopback_server import Answer, as_json
from pydantic import SecretStr
from redis import Redis
from rq import Queue
from upkeep_data import contents, record
from verdict_data import MADE, PROJECT, UID, added, annotation, detection, event, moved, predict

from backend.database import connection as connection_module
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.outages.breaker import SharedBreaker
from backend.outages.storage import OutageStorage
from backend.queue.row_jobs import RowJobs
from backend.queue.steady_worker import SteadyWorker, clean_up
from backend.settings import Settings
from backend.training.registry import ModelRegistry
from backend.verdicts import pull_storage
from backend.verdicts.recording import Recorder
from backend.verdicts.sync import sync_due
from backend.web.app import create_app
from backend.workers import waiting_work
from backend.workers.cards import announced
from backend.workers.waiting_work import WaitingWork

DAY, WEEK = 24, 7 * 24  # h
STEP = 4  # h
KEPT = 10  # pulls of a project, in place of more than a week has here


class Clock:
    """The time of the backend's modules and of RQ, some hours ahead of the real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta()
        real, of_rq = connection_module.now, rq.registry.current_timestamp
        for name, module in list(sys.modules.items()):
            if name.startswith("backend.") and getattr(module, "now", None) is real:
                monkeypatch.setattr(module, "now", lambda: real() + self.ahead)
        seconds = lambda: int(of_rq() + self.ahead.total_seconds())  # noqa: E731
        monkeypatch.setattr(rq.registry, "current_timestamp", seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(waiting_work, "GIVES_UP_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(pull_storage, "MOST_SYNC_RUNS", KEPT)
    return Clock(monkeypatch)


class Studio(LabelStudioFake):
    """A Label Studio whose project has the same annotations in every pull."""

    def __init__(self) -> None:
        super().__init__()
        self.annotated = annotation(1, [added(5, 5)], number=10)

    def handle(self, request: Any, handler: Any) -> Answer:
        if request.path.startswith("/api/projects/3/"):
            return as_json({"id": 3, "created_at": MADE.isoformat(), "label_config": ""})
        if request.path.startswith("/api/tasks/"):
            task = {"id": 1, "project": 3, "data": {}, "annotations": [self.annotated]}
            return as_json({"tasks": [task], "total": 1})
        return super().handle(request, handler)


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[LabelStudioFake]:
    monkeypatch.setattr("label_studio_fake.LabelStudioFake", Studio)
    with label_studio_fake() as fake:
        yield fake


def pass_time(
    number: int, settings: Settings, database: Database, queue: Queue, worker: SteadyWorker
) -> None:
    """What happens again and again: pulls, failures, jobs and maintenance."""
    sync_due(settings, database)
    Recorder(settings, database).drain()
    breaker = SharedBreaker(database)
    breaker.failed(f"images of host-{number}.example", "gone", certain=True, retry_after=None)
    breaker.failed("API of a host", "it stumbles", certain=False, retry_after=None)
    breaker.succeeded("API of a host")
    for function in ("operator.index", "operator.nothing_of_this_name"):
        jobs = RowJobs("predictions", function, f"predict-{function[9:12]}")
        jobs.enqueue(queue, settings, number, 1)
    if number % DAY == 0:
        worker.work(burst=True)
    clean_up(queue, worker)
    WaitingWork(settings, database).tend()


def measure(database: Database, connection: Redis, folder: Path) -> dict[str, Any]:
    """How much of everything there is."""
    lasting = sorted(key.decode() for key in connection.scan_iter() if connection.ttl(key) == -1)
    members = Counter[str]()
    for key in lasting:
        kind = connection.type(key)
        size = {b"zset": connection.zcard, b"set": connection.scard, b"list": connection.llen}
        members[key] = size[kind](key) if kind in size else 1
    return {
        "rows": {name: len(rows) for name, rows in contents(database).items()},
        "keys": lasting,
        "members": members,
        "files": sorted(
            os.path.relpath(Path(place) / name, folder)
            for place, _, names in os.walk(folder)
            for name in names
        ),
    }


def test_nothing_grows_in_a_week_but_data(
    any_database: Database,
    studio: LabelStudioFake,
    queue: Queue,
    redis_connection: Redis,
    clock: Clock,
    tmp_path: Path,
    unread_weights: Path,
) -> None:
    settings = Settings(
        label_studio_url=studio.url,
        label_studio_api_key=SecretStr(TOKEN),
        data_dir=tmp_path,
        model_weights=str(unread_weights),
    )
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    event(any_database, annotation(1, [added(5, 5)], number=10))
    worker = SteadyWorker(queue)
    found = {}
    with announced(redis_connection, any_database, ModelRegistry(settings, any_database), "CPU"):
        for number in range(STEP, WEEK + 1, STEP):
            clock.ahead = timedelta(hours=number)
            pass_time(number, settings, any_database, queue, worker)
            if number in (3 * DAY, WEEK):
                found[number] = measure(any_database, redis_connection, tmp_path)
    early, late = found[3 * DAY], found[WEEK]
    assert late["rows"].pop("outages") <= DAY // STEP + 1
    assert early["rows"].pop("outages") <= DAY // STEP + 1
    assert late["rows"] == early["rows"]
    assert late["rows"]["sync_runs"] == KEPT
    assert late["files"] == early["files"]
    assert late["keys"] == early["keys"]
    failed = {key: count for key, count in late["members"].items() if "failed" in key}
    others = {key: count for key, count in late["members"].items() if key not in failed}
    assert others == {key: early["members"][key] for key in others}
    assert all(count <= WEEK for count in failed.values())  # failures are kept for a week


# What people and workers make, which stays until somebody deletes it.
DATA = {
    *("predictions", "deliveries", "events", "handled_events", "annotation_states"),
    *("annotation_origins", "arrivals", "verdicts"),
}
ROUTES = ("/health", "/ready", "/status", "/metrics", "/jobs", "/agreement", "/openapi.json")
# Of each step, objects of Python that may be there afterwards.
MOST_OBJECTS = 20


def do_new_work(number: int, client: FlaskClient, database: Database) -> None:
    """A task is predicted and annotated, the annotation is recorded and learnt, pages are read."""
    task = 100 + number
    regions = predict(database, task, detection((10, 10), (30, 10), (50, 10)))
    made = annotation(task, [moved(regions[0], 3), *regions[1:]], number=1000 + number)
    body = {"action": "ANNOTATION_CREATED", "annotation": made, "project": PROJECT}
    assert client.post("/webhook", json=body).status_code == 200
    record(database)
    for route in ROUTES:
        assert client.get(route).status_code == 200, route


def test_new_work_leaves_nothing_behind_but_data(
    any_database: Database,
    queue: Queue,
    redis_connection: Redis,
    clock: Clock,
    tmp_path: Path,
    unread_weights: Path,
) -> None:
    settings = Settings(data_dir=tmp_path, model_weights=str(unread_weights))
    ProjectStorage(any_database).save_label_config(UID, CONFIG)
    client = create_app(settings, any_database, queue).test_client()
    found, objects = {}, {}
    for number in range(STEP, WEEK + 1, STEP):
        clock.ahead = timedelta(hours=number)
        do_new_work(number, client, any_database)
        WaitingWork(settings, any_database).tend()
        if number in (3 * DAY, WEEK):
            found[number] = measure(any_database, redis_connection, tmp_path)
            gc.collect()
            objects[number] = len(gc.get_objects())
    early, late = found[3 * DAY], found[WEEK]
    assert {name for name in DATA if late["rows"][name] > early["rows"][name]} == DATA
    others = {name: count for name, count in late["rows"].items() if name not in DATA}
    assert others == {name: early["rows"][name] for name in others}
    assert late["keys"] == early["keys"]
    assert late["members"] == early["members"]
    assert late["files"] == early["files"]
    assert objects[WEEK] - objects[3 * DAY] < MOST_OBJECTS * (WEEK - 3 * DAY) // STEP


def test_a_service_that_work_waits_for_is_not_forgotten(any_database: Database) -> None:
    for service in ("images of a", "images of b"):
        SharedBreaker(any_database).failed(service, "gone", certain=True, retry_after=None)
    outages, later = OutageStorage(any_database), connection_module.now() + timedelta(days=10)
    assert outages.forget(connection_module.now() - timedelta(days=1), set()) == 0
    assert outages.forget(later, {"images of a"}) == 1
    assert [each.service for each in outages.away()] == ["images of a"]
