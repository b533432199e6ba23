"""Today's code on the databases of all earlier versions, and on the Redis of the first.

`tests/data/first_version/make.py` says how they were recorded. Job functions had other paths then.
"""

import base64
import gzip
import json
import math
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import random_rows
from conftest import wait_until
from label_studio_fake import TOKEN, LabelStudioFake, label_studio_fake
from migrating import upgrade
from random_rows import Filler
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from serving import PLAIN_ENVIRONMENT, ROOT
from small_weights import save_small_network
from sqlalchemy import select, text

from backend.agreement.figures import measure_agreement
from backend.database.connection import MIGRATIONS, Database
from backend.labelstudio.projects import ProjectStorage
from backend.outages.records import JobFilter
from backend.settings import Settings
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.upkeep.storage import DeploymentStorage
from backend.verdicts.judging import Verdict
from backend.verdicts.packing import pack
from backend.verdicts.records import Filters
from backend.verdicts.tables import origins, states
from backend.web.app import create_app

LEFT_BEHIND = Path(__file__).parent / "data" / "first_version"
QUEUED_TASKS = range(500, 506)


def load_database(path: Path, model_version: str) -> Database:
    """Write the recorded database to a file; `model_version` is what its queue waits for."""
    script = gzip.decompress((LEFT_BEHIND / "database.sql.gz").read_bytes()).decode()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script.replace("THE-MODEL", model_version))
    return Database(f"sqlite:///{path}")


def load_redis(connection: Redis) -> None:
    """Put the recorded keys into an empty Redis."""
    for entry in json.loads((LEFT_BEHIND / "redis.json").read_text()):
        key, value = entry["key"], entry["value"]
        if entry["type"] == "hash":
            fields = {name: base64.b64decode(content) for name, content in value.items()}
            connection.hset(key, mapping=fields)
        elif entry["type"] == "list":
            connection.rpush(key, *value)
        else:
            connection.sadd(key, *value)


# Part of a figure's path → why it is not what it was in the first version.
CHANGED = {
    r"\.method": "other intervals have other parameters",
    r"\.low|\.high": "intervals take the image as the cluster; they were too narrow",
    r"\.lead_time": "one open tab moved the mean: median and geometric mean took its place",
    r"\.landmarks\[\d+\]\.lift": "discs are cut at the border; any of k points",
    r"\.by\.label\[\d+\]\.(precision|recall|f1)": "equal labels only are paired",
    r"\.within_share": "2 % of the object where it is known, as the radius",
    r"\.points\.suggested": "a suggestion counts once; its judgements are `judged`",
    r"\.people\.": "people who saw the same suggestions agree because of them; α has an interval",
    r"\.model_versions\[\d+\]": "only tasks whose annotators saw neither version compare them",
    r"\.anchoring\.(shown|difference)": "compared within project and model version",
}


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Where counts and values differ, but for those in `CHANGED`; more figures may be there now."""
    if any(re.search(f"({part})", path) for part in CHANGED):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        if missing := before.keys() - after.keys():
            return [f"{path}: {sorted(missing)} are no longer there"]
        return [
            one for key in before for one in differences(before[key], after[key], f"{path}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [one for place, (a, b) in pairs for one in differences(a, b, f"{path}[{place}]")]
    if isinstance(before, float) and after is not None and math.isclose(before, after):
        return []
    return [] if before == after else [f"{path}: {before!r} became {after!r}"]


def test_every_count_and_value_of_the_first_version_is_the_same_but_for_those_changed_on_purpose(
    tmp_path: Path, queue: Queue
) -> None:
    database = load_database(tmp_path / "backend.sqlite3", "small-0")
    database.migrate()
    weights = tmp_path / "small.safetensors"
    save_small_network(weights)
    client = create_app(Settings(model_weights=str(weights)), database, queue).test_client()
    groups = json.loads(client.get("/agreement").data)["groups"]
    # Two annotations of tasks of which one version was withheld and another one was not: drawn from
    # scratch, they counted as made from the suggestions.
    assert (groups["shown"], groups["withheld"], groups["from_scratch"]) == (62, 7, 2)
    count_as_begun(database, 2028, 3056)
    today = json.loads(client.get("/agreement").data)
    before = json.loads((LEFT_BEHIND / "agreement.json").read_text())
    del today["made_at"], before["made_at"]
    assert differences(before, today) == []
    database.close()


def count_as_begun(database: Database, *annotation_ids: int) -> None:
    """Let annotations count as ones that began as the suggestions."""
    names = [column.name for column in origins.columns]
    chosen = select(*(states.c[name] for name in names)).where(
        states.c.annotation_id.in_(annotation_ids)
    )
    with database.writing() as connection:
        connection.execute(origins.insert().from_select(names, chosen))


@contextmanager
def running(command: str, environment: dict[str, str], log: Path) -> Iterator[None]:
    """Run `python -m backend COMMAND` until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "backend", command],
            env=PLAIN_ENVIRONMENT | environment,
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def label_studio() -> Iterator[LabelStudioFake]:
    with label_studio_fake() as fake:
        yield fake


def test_every_prediction_and_training_that_waited_is_made_by_todays_workers(
    tmp_path: Path, redis_connection: Redis, redis_url: str, label_studio: LabelStudioFake
) -> None:
    weights = tmp_path / "small.safetensors"
    save_small_network(weights)
    environment = {
        "REDIS_URL": redis_url,
        "DATA_DIR": str(tmp_path),
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "MODEL_WEIGHTS": str(weights),
        "SYNC_EVERY": "0",
    }
    version = Settings(model_weights=str(weights)).model_version()
    database = load_database(tmp_path / "backend.sqlite3", version)
    with database.reading() as connection:
        asked = text("SELECT task_id, image_url FROM predictions WHERE model_version = :version")
        rows = connection.execute(asked, {"version": version})
        images = {row.task_id: row.image_url for row in rows}
    assert sorted(images) == list(QUEUED_TASKS)
    for task_id, image in images.items():
        label_studio.tasks[task_id] = {"id": task_id, "project": 3, "data": {"image": image}}
    load_redis(redis_connection)
    assert Queue("predictions", connection=redis_connection).count == len(images)

    def training_status() -> str:
        with database.reading() as connection:
            return str(connection.scalar(text("SELECT status FROM trainings")))

    with ExitStack() as stack:
        for command in ("worker", "trainer"):
            stack.enter_context(running(command, environment, tmp_path / f"{command}.log"))
        wait_until(lambda: len(label_studio.predictions) >= len(images), seconds=90)
        # The project is no longer in this Label Studio: that is said, and ends the training.
        wait_until(lambda: training_status() == "failed", seconds=90)
    delivered = Counter(each["task"] for each in label_studio.predictions)
    assert delivered == dict.fromkeys(QUEUED_TASKS, 1)
    assert {each["model_version"] for each in label_studio.predictions} == {version}
    assert "ModuleNotFoundError" not in reasons(database)
    left = Queue("training", connection=redis_connection, serializer=JSONSerializer)
    assert left.count == 0
    database.close()


def reasons(database: Database) -> str:
    """Why predictions and trainings failed, in one text."""
    with database.reading() as connection:
        found = [
            *connection.scalars(text("SELECT reason FROM predictions WHERE reason IS NOT NULL")),
            *connection.scalars(text("SELECT reason FROM trainings WHERE reason IS NOT NULL")),
        ]
    return "\n".join(found)


REVISIONS = sorted(path.name[:4] for path in MIGRATIONS.glob("versions/[0-9]*.py"))
# Where a migration changes what it finds, other tests say how.
REWRITTEN = {
    "annotation_states": ("digest", "digest_version", "updated_by", "points", "labels"),
}
# Where a migration adds rows: annotations that began as a suggestion, and those to be learnt.
EXTENDED = ("annotation_origins", "changed_annotations")


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_what_was_there_is_found_again_after_an_upgrade_from_every_version(
    revision: str, database_url: str
) -> None:
    database = Database(database_url)
    upgrade(database, revision)
    Filler(int(revision)).fill(database)
    before = random_rows.contents(database)
    assert all(before.values())
    database.migrate()
    after = random_rows.contents(database)
    for name, rows in before.items():
        changed = REWRITTEN.get(name, ())
        found = after[name][: len(rows)] if name in EXTENDED else after[name]
        kept = [name for name in rows[0] if name not in changed]
        assert [{key: row[key] for key in kept} for row in found] == [
            {key: row[key] for key in kept} for row in rows
        ]
    expect_usable(database)
    database.close()


def expect_usable(database: Database) -> None:
    """The program of today reads all of it: points as packed today, figures, and states of work."""
    after = random_rows.contents(database)
    for state in after["annotation_states"]:
        of_state = [row for row in after["verdicts"] if row["state_id"] == state["id"]]
        names = [each.name for each in fields(Verdict)]
        found = [Verdict(**{name: row[name] for name in names}) for row in of_state]
        assert (state["points"], state["labels"]) == pack(found)
    measure_agreement(database, Filters())
    assert PredictionStorage(database).predictions_by_status()
    assert len(ProjectStorage(database).projects()) == len(random_rows.UIDS)
    UnfinishedWork(database).counts(JobFilter(None, None))
    assert DeploymentStorage(database).name()
