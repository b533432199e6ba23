"""What browsers are told about every answer, over real HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from rq import Queue
from test_web_authentication import routes
from web_server import served

from backend.database.connection import Database
from backend.settings import Settings
from backend.web.app import create_app


@pytest.fixture
def url(database: Database, queue: Queue, unread_weights: Path) -> Iterator[str]:
    settings = Settings(model_weights=str(unread_weights))
    with served(create_app(settings, database, queue)) as address:
        yield address


def test_every_answer_tells_browsers_what_they_may_do(
    url: str, database: Database, queue: Queue, unread_weights: Path
) -> None:
    exports = {("GET", f"/export?format={name}") for name in ("csv", "json", "parquet", "coco")}
    failing = {("GET", "/nowhere"), ("GET", "/export?format=none"), ("POST", "/jobs")}
    for accept in ("*/*", "text/html"):
        for method, path in routes(database, queue, unread_weights) | exports | failing:
            answer = requests.request(method, url + path, headers={"Accept": accept}, timeout=120)
            said, where = answer.headers, (method, path, answer.status_code)
            assert said["X-Content-Type-Options"] == "nosniff", where
            assert said["Referrer-Policy"] == "no-referrer", where
            assert said["X-Frame-Options"] == "DENY", where
            policy = said["Content-Security-Policy"]
            assert "default-src 'none'" in policy, where
            assert "frame-ancestors 'none'" in policy, where
            scripts = [part for part in policy.split("; ") if part.startswith("script-src")]
            assert not any("unsafe" in part for part in scripts), where
