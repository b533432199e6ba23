"""Alert rules and dashboard are accepted by what reads them, and name metrics that exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from flask.testing import FlaskClient
from label_studio_fake import UID
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from test_training_registry import OUTCOME, new_model
from test_web_label_studio_routes import predict, setup, task

from backend.database.connection import Database
from backend.durations import recorder
from backend.outages.breaker import SharedBreaker
from backend.suggestions.storage import PredictionStorage
from backend.training.records import TrainingOptions
from backend.training.storage import TrainingStorage

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "monitoring"
ALERTS = yaml.safe_load((FOLDER / "alerts.yml").read_text())
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
DOCUMENT = (ROOT / "docs" / "monitoring.md").read_text()
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool on this machine: install Debian's prometheus to check the rules")
    ended = subprocess.run([program, *arguments], capture_output=True, text=True, cwd=FOLDER)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_promtool_accepts_rules_and_configuration() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")
    promtool("check", "config", "prometheus.yml")


def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", str(ROOT / "tests" / "data" / "alerts_test.yml"))


# The part of Grafana's documented JSON model that this dashboard uses; nothing else is allowed.
TARGET = {
    "type": "object",
    "required": ["expr", "refId", "datasource"],
    "additionalProperties": False,
    "properties": {
        "expr": {"type": "string", "minLength": 1},
        "legendFormat": {"type": "string"},
        "refId": {"type": "string", "pattern": "^[A-Z]$"},
        "datasource": {"$ref": "#/$defs/datasource"},
    },
}
PANEL = {
    "type": "object",
    "required": ["id", "type", "title", "gridPos", "targets", "fieldConfig", "datasource"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "type": {"enum": ["timeseries", "stat", "table"]},
        "title": {"type": "string", "minLength": 1},
        "description": {"type": "string"},
        "datasource": {"$ref": "#/$defs/datasource"},
        "gridPos": {
            "type": "object",
            "required": ["x", "y", "w", "h"],
            "additionalProperties": False,
            "properties": {
                "x": {"type": "integer", "minimum": 0, "maximum": 23},
                "y": {"type": "integer", "minimum": 0},
                "w": {"type": "integer", "minimum": 1, "maximum": 24},
                "h": {"type": "integer", "minimum": 1},
            },
        },
        "fieldConfig": {
            "type": "object",
            "required": ["defaults", "overrides"],
            "properties": {"defaults": {"type": "object"}, "overrides": {"type": "array"}},
        },
        "options": {"type": "object"},
        "targets": {"type": "array", "minItems": 1, "items": TARGET},
    },
}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["title", "uid", "schemaVersion", "panels", "templating", "time", "refresh"],
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "uid": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"},
        "schemaVersion": {"type": "integer", "minimum": 36},
        "version": {"type": "integer"},
        "editable": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "timezone": {"enum": ["", "utc", "browser"]},
        "refresh": {"type": "string", "pattern": "^[0-9]+[smh]$"},
        "time": {
            "type": "object",
            "required": ["from", "to"],
            "properties": {"from": {"type": "string"}, "to": {"type": "string"}},
        },
        "templating": {
            "type": "object",
            "required": ["list"],
            "properties": {
                "list": {
                    "type": "array",
                    "items": {"type": "object", "required": ["name", "type", "query"]},
                }
            },
        },
        "annotations": {"type": "object", "required": ["list"]},
        "links": {"type": "array"},
        "panels": {"type": "array", "minItems": 1, "items": PANEL},
    },
    "$defs": {
        "datasource": {
            "type": "object",
            "additionalProperties": False,
            "required": ["type", "uid"],
            "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
        }
    },
}


def test_the_dashboard_follows_grafanas_model() -> None:
    jsonschema_rs.Draft202012Validator(SCHEMA).validate(DASHBOARD)


@pytest.mark.parametrize("broken", ["panels", "title"])
def test_the_schema_refuses_a_broken_dashboard(broken: str) -> None:
    without = {name: value for name, value in DASHBOARD.items() if name != broken}
    assert not jsonschema_rs.Draft202012Validator(SCHEMA).is_valid(without)


def test_no_two_panels_overlap_or_share_an_id() -> None:
    cells: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, f"{panel['title']} is on {cells[x, y]}"
                cells[x, y] = panel["title"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


@pytest.fixture
def samples(
    client: FlaskClient, database: Database, queue: Queue
) -> dict[str, list[dict[str, str]]]:
    """Name of each sample on /metrics → the labels of its series."""
    setup(client)
    predict(client, task(1), task(2))
    PredictionStorage(database).fail(PredictionStorage(database).of_task(2)[0].id, "not an image")
    client.post("/webhook", json={"action": "ANNOTATION_CREATED"})
    Worker([queue], connection=queue.connection, serializer=JSONSerializer).register_birth()
    SharedBreaker(database).failed("API of x", "gone", certain=True, retry_after=None)
    trainings = TrainingStorage(database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    families = text_string_to_metric_families(client.get("/metrics").text)
    found: dict[str, list[dict[str, str]]] = {}
    for sample in (each for family in families for each in family.samples):
        found.setdefault(sample.name, []).append(sample.labels)
    return found


@pytest.mark.parametrize("query", [*(rule["expr"] for rule in RULES), *QUERIES])
def test_every_metric_and_label_of_a_query_is_on_the_metrics_page(
    query: str, samples: dict[str, list[dict[str, str]]]
) -> None:
    names = set(re.findall(r"\bkeypoint_\w+", query))
    assert names or "up{" in query
    for name in names:
        assert name in samples, f"{name} is not on /metrics"
    for name, selector in re.findall(r"\b(keypoint_\w+)\{([^}]*)\}", query):
        for label, operator, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', selector):
            values = [labels[label] for labels in samples[name]]
            wanted = value.split("|") if operator == "=~" else [value]
            assert set(wanted) <= set(values), f"{name} has no {label} {value}"


def test_every_metric_is_documented(samples: dict[str, list[dict[str, str]]]) -> None:
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name in samples}
    documented = set(re.findall(r"^\| `(keypoint_\w+)", DOCUMENT, re.MULTILINE))
    assert documented == names


def test_every_alert_is_documented() -> None:
    documented = re.findall(r"^\| `(Keypoint\w+)` \|", DOCUMENT, re.MULTILINE)
    assert documented == [rule["alert"] for rule in RULES]


def value_of(client: FlaskClient, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(client.get("/metrics").text)
    [found] = [
        each.value
        for family in families
        for each in family.samples
        if each.name == name and labels.items() <= each.labels.items()
    ]
    return float(found)


def test_histograms_count_what_every_process_measures(
    client: FlaskClient, database: Database
) -> None:
    series = {"stage": "fetch"}
    before = value_of(client, "keypoint_stage_seconds_count", **series)
    recorder.record_stage("fetch", 0.3)
    other_process = recorder.DurationRecorder()
    other_process.add("stage", "fetch", 40.0)
    other_process.store(database)
    assert value_of(client, "keypoint_stage_seconds_count", **series) == before + 2
    assert value_of(client, "keypoint_stage_seconds_bucket", le="0.5", **series) == before + 1
    assert value_of(client, "keypoint_stage_seconds_bucket", le="+Inf", **series) == before + 2


def test_the_age_of_a_queue_grows_and_an_empty_one_has_none(
    client: FlaskClient, redis_connection: Redis
) -> None:
    predict(client, task(1), task(2))
    assert value_of(client, "keypoint_waiting", queue="predictions") == 2
    assert 0 <= value_of(client, "keypoint_oldest_waiting_seconds", queue="predictions") < 300
    assert value_of(client, "keypoint_oldest_waiting_seconds", queue="trainings") == 0
    assert value_of(client, "keypoint_workers", kind="detection") == 0


def test_a_clean_document_of_alerts_has_severities() -> None:
    severities: set[Any] = {rule["labels"]["severity"] for rule in RULES}
    assert severities == {"critical", "warning", "info"}
