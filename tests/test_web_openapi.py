"""The description of the routes is complete, and holds when it is tried out on the real server."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import requests
import schemathesis
from conftest import _new_database, free_port, wait_until
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import PLAIN_ENVIRONMENT, ROOT

from backend.web.openapi import OPERATIONS

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_every_route_is_described_with_its_methods(client: FlaskClient, app: Flask) -> None:
    described = {
        (path, method)
        for path, methods in client.get("/openapi.json").json["paths"].items()  # type: ignore[index]
        for method in methods
    }
    served = {
        (rule.rule.replace("<int:task_id>", "{task_id}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == served
    assert OPERATIONS.keys() == {rule.endpoint for rule in app.url_map.iter_rules()}


def test_every_summary_is_the_first_line_of_the_route(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").json["paths"]  # type: ignore[index]
    summaries = [each["summary"] for methods in paths.values() for each in methods.values()]
    assert all(summary.endswith((".", "!")) for summary in summaries)
    assert len(set(summaries)) == len(summaries)


def test_every_reference_leads_somewhere(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document is not None

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    found = set(references(document))
    assert found
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        )


def serve(database_url: str, redis_url: str, weights: Path, log: Path) -> Iterator[str]:
    """Run the web process as it is in production, with gunicorn."""
    port = free_port()
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "backend", "web"],
            cwd=ROOT,
            env={
                **PLAIN_ENVIRONMENT,
                "PORT": str(port),
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "MODEL_WEIGHTS": str(weights),
                "PREDICT_WAIT_ONE": "0",
                "PREDICT_WAIT_BATCH": "0",
                "LABEL_STUDIO_URL": "http://127.0.0.1:1",
                "LABEL_STUDIO_API_KEY": "no-token",
            },
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(f"{url}/health", timeout=5).ok
        except requests.RequestException:
            return False

    try:
        wait_until(answers, seconds=60)
        yield url
    finally:
        server.terminate()
        server.wait()
    assert b"Traceback" not in log.read_bytes(), log.read_text()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The description as the real server gives it, on each kind of database in turn."""
    folder = tmp_path_factory.mktemp("api")
    if request.param == "sqlite":
        path = folder / "backend.sqlite3"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        database_url = f"sqlite:///{path}"
    else:
        server = request.getfixturevalue("postgres_server")
        database_url = _new_database(server, request.getfixturevalue("migrated_postgres"))
    weights = folder / "weights.pth"
    weights.write_bytes(b"weights")
    for url in serve(database_url, redis_url, weights, folder / "log"):
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


@pytest.mark.parametrize("endpoint", OPERATIONS)
def test_no_request_makes_the_server_fail_or_answer_otherwise_than_described(
    api: Any, endpoint: str
) -> None:
    name = endpoint.replace(".", "_")
    operations = [each.ok() for each in api.get_all_operations()]
    [operation] = [each for each in operations if each.definition.raw["operationId"] == name]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS, timeout=60)

    ask()
