"""Figures for Prometheus, counted on each request: no process keeps counters of its own."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.storage import PredictionStorage
from backend.training.registry import ModelRegistry
from backend.verdicts.storage import EventStorage


class BackendMetrics(Collector):
    """Counts what the database and the queue hold now.

    Args:
        models: which model is active.
    """

    def __init__(self, database: Database, queue: Queue, models: ModelRegistry) -> None:
        self._predictions = PredictionStorage(database)
        self._deliveries = DeliveryStorage(database)
        self._events = EventStorage(database)
        self._queue = queue
        self._models = models

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
        predictions = GaugeMetricFamily(
            "keypoint_predictions", "Predictions by status", labels=["status"]
        )
        counted = self._predictions.predictions_by_status()
        for status in ("queued", "ready", "failed"):
            predictions.add_metric([status], counted.get(status, 0))
        yield predictions

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

        model = GaugeMetricFamily(
            "keypoint_model_info", "The active model of the deployment", labels=["version"]
        )
        model.add_metric([self._models.active_or_last_known().version], 1)
        yield model
        own = GaugeMetricFamily(
            "keypoint_project_model_info",
            "The active model of each project that has one of its own",
            labels=["project", "version"],
        )
        for uid, each in self._models.own_models().items():
            own.add_metric([uid, each.version], 1)
        yield own
        yield from self._redis_metrics()

    def _redis_metrics(self) -> Iterator[Metric]:
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
