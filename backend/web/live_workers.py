"""The workers that are alive, and what each does, as Redis knows them."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from rq.serializers import JSONSerializer

from backend.suggestions.storage import PredictionStorage

logger = logging.getLogger(__name__)

# Begins the id of a job → what the worker does; the id of the row follows.
_WORK = {
    "interactive": "answers an annotator who is drawing",
    "learn": "learns a corrected image",
    "opened": "detects keypoints",
    "predict": "detects keypoints",
    "train": "trains",
}
_DETECTION = ("opened", "predict")


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that has sent a heartbeat lately.

    Attributes:
        queues: that it takes jobs from.
        doing: what it does, in words.
        task_id, project_uid: of the task at hand; None if it has none.
        since: when it began its job; None while it has none.
        done, failed: jobs since it started.
    """

    name: str
    host: str
    queues: tuple[str, ...]
    doing: str
    task_id: int | None
    project_uid: str | None
    since: datetime | None
    last_heartbeat: datetime | None
    done: int
    failed: int


def live_workers(connection: Redis, predictions: PredictionStorage) -> list[LiveWorker] | None:
    """Return the live workers, sorted by name; None if Redis cannot be reached.

    Redis forgets a worker that has been silent for about a minute.
    """
    try:
        found = Worker.all(connection=connection, serializer=JSONSerializer)
        jobs = {worker.name: _job(worker) for worker in found}
    except RedisError as error:
        logger.warning("Redis cannot be reached: %s", error)
        return None
    rows = sorted({row_id for kind, row_id in jobs.values() if kind in _DETECTION and row_id})
    tasks = {row.id: row for row in predictions.predictions(rows)}
    workers = []
    for worker in found:
        kind, row_id = jobs[worker.name]
        row = tasks.get(row_id) if kind in _DETECTION else None
        workers.append(
            LiveWorker(
                name=worker.name,
                host=worker.hostname or "",
                queues=tuple(worker.queue_names()),
                doing=_WORK.get(kind, "works") if kind else "waits for work",
                task_id=row.task_id if row else None,
                project_uid=row.project_uid if row else None,
                since=_utc(row.started_at) if row else None,
                last_heartbeat=_utc(worker.last_heartbeat),
                done=worker.successful_job_count or 0,
                failed=worker.failed_job_count or 0,
            )
        )
    return sorted(workers, key=lambda each: each.name)


def _job(worker: Worker) -> tuple[str, int]:
    """Return the kind of a worker's job and the id of its row; ("", 0) while it has none."""
    member = worker.connection.srandmember(worker.executions_key)  # "JOB:EXECUTION"
    job_id = member.decode().partition(":")[0] if member else ""
    kind, _, rest = job_id.partition("-")
    row_id = rest.partition("-")[0]
    return (kind, int(row_id)) if row_id.isdecimal() else (kind, 0)


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
