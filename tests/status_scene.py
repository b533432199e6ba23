"""A deployment with something to see on its status page, served on the loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from flask import Flask
from prediction_rows import LONG_AGO, wanted
from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from sqlalchemy import update
from test_training_registry import OUTCOME, new_model
from werkzeug.serving import make_server

from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.outages.breaker import SharedBreaker
from backend.outages.records import Cause
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions
from backend.training.records import TrainingOptions
from backend.training.storage import TrainingStorage
from backend.verdicts.pull_storage import PullStorage
from backend.verdicts.records import SyncRun
from backend.verdicts.storage import EventStorage
from model.keypoint import Box, Detection

CONFIG = (
    '<View><Image name="i" value="$image"/><KeyPointLabels name="k" toName="i">'
    '<Label value="beak"/><Label value="tail"/></KeyPointLabels></View>'
)
UIDS = ("1.1795347724", "2.1795347800", "3.1795347900")
SERVICE = "image host http://pictures.example"
FOUND = Detection("duck", 0.9, (), 640, 480, Box(0, 0, 640, 480))


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an application with several threads, and yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def request(database: Database, uid: str, count: int, *, first: int = 1) -> list[int]:
    """Request predictions of tasks, and return the ids of their rows."""
    ProjectStorage(database).save_label_config(uid, CONFIG)
    asked = [wanted(task) for task in range(first, first + count)]
    rows = PredictionStorage(database).request(uid, "small-1", asked, retry_failed_before=LONG_AGO)
    return [row.id for row in rows]


def fill(database: Database, connection: Redis) -> None:
    """Make projects with a running batch, failures, waiting work, trainings and workers."""
    storage, moment = PredictionStorage(database), now()
    rows = request(database, UIDS[0], 60)
    with database.writing() as open_:
        asked = moment - timedelta(minutes=4, seconds=10)
        open_.execute(update(predictions).values(asked_at=asked))
    for row in rows[:24]:
        storage.finish(row, FOUND)
    for row in rows[24:27]:
        storage.fail(row, f"expected an image at http://host/{row}.png, got status 404")
    for row in request(database, UIDS[1], 12):
        SharedBreaker(database).failed(
            SERVICE, "no answer within 10 s", certain=True, retry_after=None
        )
        cause = Cause(f"expected an answer of http://pictures.example/{row}.jpg", away=SERVICE)
        storage.postpone(row, cause, patience=3600)
    request(database, UIDS[2], 0)
    trainings = TrainingStorage(database)
    first, _ = trainings.request(UIDS[0], TrainingOptions())
    trainings.succeed(first.id, new_model(1), OUTCOME, use=True)
    second, _ = trainings.request(UIDS[2], TrainingOptions())
    trainings.fail(second.id, "expected at least two classes, got 1: annotate more images")
    EventStorage(database).save_event("ANNOTATION_CREATED", 1, {})
    pull = SyncRun(UIDS[1], moment - timedelta(minutes=20), 14, 5, 0, None)
    PullStorage(database).add_sync_run(pull)
    queue = Queue("predictions", connection=connection, serializer=JSONSerializer)
    worker = Worker([queue], connection=connection, serializer=JSONSerializer)
    worker.register_birth()
    storage.start_attempt(rows[30])
    key = f"predict-{rows[30]}-1:0123"
    connection.sadd(worker.executions_key, key)
