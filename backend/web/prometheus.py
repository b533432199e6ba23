"""Figures for Prometheus, from the database and Redis: no process keeps counters of its own.

So they hold for all web processes, workers and machines, whichever process is scraped, and survive
restarts. What processes measure themselves they add to the database; see `backend.durations`.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database
from backend.durations.recorder import store_durations
from backend.durations.records import STAGES, WAYS, Series
from backend.durations.storage import DurationStorage
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.queue import NAME
from backend.suggestions.storage import PredictionStorage
from backend.training.queue import TRAINING_QUEUE
from backend.training.registry import ModelRegistry
from backend.verdicts.storage import EventStorage
from backend.web.status import Status, StatusService

# See `backend.outages.records.WaitCount`.
KINDS = ("prediction", "delivery", "corrected image", "training")
STATES = ("waiting", "failed", "given up")
WORKER_KINDS = {"detection": NAME, "training": TRAINING_QUEUE}


class BackendMetrics(Collector):
    """Counts what the database and the queue hold now.

    Args:
        models: which model is active.
        status: what goes on; as old as it may be, it is not asked for twice.
    """

    def __init__(
        self, database: Database, queue: Queue, models: ModelRegistry, status: StatusService
    ) -> None:
        self._database = database
        self._predictions = PredictionStorage(database)
        self._deliveries = DeliveryStorage(database)
        self._events = EventStorage(database)
        self._durations = DurationStorage(database)
        self._queue = queue
        self._models = models
        self._status = status

    def registry(self) -> CollectorRegistry:
        """Return a registry with these figures alone."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def describe(self) -> list[Metric]:
        """Return nothing, so that registering this collector does not count anything."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Count every figure."""
        yield from self._totals()
        yield from self._model_metrics()
        yield from self._histograms()
        status = self._status.status()
        yield from _waiting(status)
        yield from _troubles(status)
        yield from self._redis_metrics(status)

    def _totals(self) -> Iterator[Metric]:
        yield _gauge(
            "keypoint_predictions",
            "Predictions by status",
            "status",
            dict.fromkeys(("queued", "ready", "failed"), 0)
            | self._predictions.predictions_by_status(),
        )
        deliveries = CounterMetricFamily(
            "keypoint_deliveries",
            "Predictions delivered to Label Studio, or found there, by way of delivery",
            labels=["way"],
        )
        given = self._deliveries.deliveries_by_way()
        for way in ("reply", "push", "change", "found"):
            deliveries.add_metric([way], given.get(way, 0))
        yield deliveries
        events = CounterMetricFamily(
            "keypoint_events", "Events received from Label Studio", labels=["action"]
        )
        for action, count in sorted(self._events.events_by_action().items()):
            events.add_metric([action], count)
        yield events

    def _model_metrics(self) -> Iterator[Metric]:
        yield _gauge(
            "keypoint_model_info",
            "The active model of the deployment",
            "version",
            {self._models.active_or_last_known().version: 1},
        )
        own = GaugeMetricFamily(
            "keypoint_project_model_info",
            "The active model of each project that has one of its own",
            labels=["project", "version"],
        )
        for uid, each in self._models.own_models().items():
            own.add_metric([uid, each.version], 1)
        yield own

    def _histograms(self) -> Iterator[Metric]:
        store_durations(self._database)
        counted = self._durations.series()
        yield _histogram(
            "keypoint_suggestion_seconds",
            "Time from the latest request for a suggestion until Label Studio gets it",
            "way",
            {way: counted.get(("suggestion", way), Series()) for way in WAYS},
        )
        yield _histogram(
            "keypoint_stage_seconds",
            "Time that a stage of making and delivering a suggestion takes",
            "stage",
            {stage: counted.get(("stage", stage), Series()) for stage in STAGES},
        )

    def _redis_metrics(self, status: Status) -> Iterator[Metric]:
        try:
            depth: int | None = self._queue.count
        except RedisError:
            depth = None
        reachable = "Whether Redis is reachable"
        yield GaugeMetricFamily("keypoint_redis_up", reachable, value=depth is not None)
        if depth is not None:
            # What waits for its turn is in the database: see `keypoint_predictions`.
            waiting = "Jobs of batches that Redis holds for workers, a few for each"
            yield GaugeMetricFamily("keypoint_queue_depth", waiting, value=depth)
        if status.workers is not None:
            alive = {
                kind: sum(queue in worker.queues for worker in status.workers)
                for kind, queue in WORKER_KINDS.items()
            }
            yield _gauge("keypoint_workers", "Workers that are alive, by kind", "kind", alive)


def _waiting(status: Status) -> Iterator[Metric]:
    """Return how much waits in each queue, and since when, as the database knows it."""
    yield _gauge(
        "keypoint_waiting",
        "What waits for a worker or for its delivery, by queue",
        "queue",
        {each.name: each.waiting for each in status.queues},
    )
    yield _gauge(
        "keypoint_oldest_waiting_seconds",
        "How long the first in the queue has waited; 0 if none waits",
        "queue",
        {
            each.name: max(0.0, (status.made_at - each.oldest).total_seconds())
            if each.oldest
            else 0.0
            for each in status.queues
        },
    )


def _troubles(status: Status) -> Iterator[Metric]:
    """Return what is not done for a reason, which services are away, and what events tell."""
    undone = GaugeMetricFamily(
        "keypoint_undone",
        "Work that waits for something outside of it, failed, or was given up",
        labels=["kind", "state"],
    )
    # All of them, so that the first failures count as an increase.
    counts = {(kind, state): 0 for kind in KINDS for state in STATES}
    for each in status.not_done:
        counts[each.kind, each.state] = counts.get((each.kind, each.state), 0) + each.count
    for (kind, state), count in sorted(counts.items()):
        undone.add_metric([kind, state], count)
    yield undone
    yield _gauge(
        "keypoint_service_away",
        "A service that work waits for: the API of a Label Studio, or a host of images",
        "service",
        {each.service: 1 for each in status.away},
    )
    aside = "Events that this version of the program cannot handle"
    yield GaugeMetricFamily("keypoint_events_set_aside", aside, value=status.set_aside)
    last = status.last_event_at
    if last is not None:
        yield GaugeMetricFamily(
            "keypoint_last_event_timestamp_seconds",
            "When Label Studio's webhook sent the latest event, as Unix time",
            value=last.timestamp(),
        )


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _histogram(
    name: str, text: str, label: str, series: Mapping[str, Series]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, each in series.items():
        family.add_metric([value], each.cumulative(), sum(each.seconds))
    return family
