"""Figures for Prometheus, counted when they are asked for: no process keeps any."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rq import Queue

from backend.database.connection import Database
from backend.suggestions.delivery_storage import DeliveryStorage
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.storage import EventStorage


class BackendMetrics(Collector):
    """What database and queue hold at this moment."""

    def __init__(self, database: Database, queue: Queue, model_version: Callable[[], str]) -> None:
        self._database = database
        self._queue = queue
        self._version = model_version

    def registry(self) -> CollectorRegistry:
        """A registry of these figures alone."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def describe(self) -> list[Metric]:
        """Nothing in advance, so that registering counts nothing."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every figure, counted now."""
        predictions = GaugeMetricFamily(
            "keypoint_predictions", "Predictions by status", labels=["status"]
        )
        counted = PredictionStorage(self._database).predictions_by_status()
        for status in ("queued", "ready", "failed"):
            predictions.add_metric([status], counted.get(status, 0))
        yield predictions

        deliveries = CounterMetricFamily(
            "keypoint_deliveries",
            "Predictions given to Label Studio, or found there, by the way they took",
            labels=["way"],
        )
        given = DeliveryStorage(self._database).deliveries_by_way()
        for way in ("reply", "push", "found"):
            deliveries.add_metric([way], given.get(way, 0))
        yield deliveries

        events = CounterMetricFamily(
            "keypoint_events", "Events that Label Studio sent", labels=["action"]
        )
        for action, count in sorted(EventStorage(self._database).events_by_action().items()):
            events.add_metric([action], count)
        yield events

        model = GaugeMetricFamily("keypoint_model_info", "The model", labels=["version"])
        model.add_metric([self._version()], 1)
        yield model
        yield from self._of_redis()

    def _of_redis(self) -> Iterator[Metric]:
        try:
            depth: int | None = self._queue.count
        except RedisError:
            depth = None
        reachable = "Whether Redis can be reached"
        yield GaugeMetricFamily("keypoint_redis_up", reachable, value=depth is not None)
        if depth is not None:
            waiting = "Jobs that wait for a worker"
            yield GaugeMetricFamily("keypoint_queue_depth", waiting, value=depth)
