"""Log lines as text and as JSON, with what is known of the request."""

import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import serving
from conftest import wait_until
from fault_run import Deployment
from label_studio_fake import CONFIG, TOKEN, UID
from serving import ROOT

from backend.log_filters.secret_masking import SecretMask
from backend.logs import (
    _formatter,
    add_to_log_context,
    begin_request,
    current_request_id,
    job_log_context,
    log_context,
)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Begin without what requests of other tests in this process have left."""
    with job_log_context():
        yield


def line(log_format: str, message: str = "%d tasks", error: Exception | None = None) -> str:
    exc_info = (type(error), error, None) if error else None
    record = logging.LogRecord("backend.x", logging.INFO, "", 0, message, (3,), exc_info)
    record.created, record.msecs = 1769860800.25, 250.0
    return _formatter(log_format, SecretMask(["hunter22"])).format(record)  # type: ignore[arg-type]


def test_a_line_is_readable_text_by_default() -> None:
    assert line("text") == "2026-01-31 12:00:00.250Z INFO    backend.x: 3 tasks"
    with log_context(request_id="a-1", project="3.17", task=None):
        assert line("text").endswith("backend.x: 3 tasks [project=3.17 request_id=a-1]")


def test_a_line_is_a_json_object_on_request() -> None:
    with log_context(request_id="a-1"):
        found = json.loads(line("json"))
    assert found.pop("process") > 0
    assert found == {
        "time": "2026-01-31T12:00:00.250Z",
        "level": "info",
        "logger": "backend.x",
        "message": "3 tasks",
        "request_id": "a-1",
    }


def test_an_exception_stays_within_its_line_of_json() -> None:
    written = line("json", error=ValueError("two\nlines"))
    assert "\n" not in written
    assert json.loads(written)["exception"] == "ValueError: two\nlines"
    assert line("text", error=ValueError("x")).splitlines()[-1] == "ValueError: x"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_token_is_in_a_line_or_its_traceback(log_format: str) -> None:
    error = ValueError(f"refused 'Authorization: Token {TOKEN}' and hunter22")
    with log_context(request_id="a-1", header=f"Token {TOKEN}"):
        written = line(log_format, f"%d {TOKEN}", error)
    assert TOKEN not in written
    assert "hunter22" not in written


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_hides_behind_the_quotation_marks_of_json(log_format: str) -> None:
    sent = '%d {"access_token": "s3cr3t", "Authorization": "Basic abc"} password="x y"'
    written = line(log_format, sent, ValueError('{"token": "s3cr3t"}'))
    assert "s3cr3t" not in written
    assert "Basic abc" not in written
    if log_format == "json":
        json.loads(written)


@pytest.mark.parametrize("given", ["a", "0af7651916cd43dd8448eb211c80319c", "x.y_z-1", "a" * 64])
def test_a_harmless_request_id_is_kept(given: str) -> None:
    assert begin_request(given) == given
    assert current_request_id() == given


@pytest.mark.parametrize(
    "given", [None, "", "a b", "a\nb", "<script>", "a" * 65, "ä", "-a", "a\n", "../x"]
)
def test_any_other_request_id_is_replaced(given: str | None) -> None:
    first, second = begin_request(given), begin_request(given)
    assert first != given
    assert first != second
    assert begin_request(first) == first


def test_a_job_knows_nothing_of_the_job_before() -> None:
    begin_request("outside")
    with job_log_context():
        assert current_request_id() is None
        add_to_log_context(request_id="job")
        assert current_request_id() == "job"
    assert current_request_id() == "outside"


LIBRARIES = """
import logging
from backend.settings import Settings
from backend.logs import set_up_logging
from backend.database.connection import Database
from gunicorn.config import Config
from backend.web.gunicorn_hooks import BackendLogger

set_up_logging("INFO", "json", ["hunter22"])
BackendLogger(Config()).error("gunicorn: %s", "hunter22")
logging.getLogger("alembic.runtime.migration").warning("alembic: Running upgrade")
logging.getLogger("rq.worker").warning("rq: failed")
logging.getLogger("urllib3").warning("urllib3: retry")
"""


def test_the_lines_of_libraries_go_the_same_way() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LIBRARIES], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(each) for each in ended.stderr.splitlines()]
    assert [each["message"] for each in lines] == [
        "gunicorn: ***",
        "alembic: Running upgrade",
        "rq: failed",
        "urllib3: retry",
    ]


def test_the_id_of_a_request_follows_its_tasks_through_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(serving.PLAIN_ENVIRONMENT, "LOG_FORMAT", "json")
    with Deployment(tmp_path, 3, 0, "sqlite") as deployment:
        assert deployment.serve is not None
        tasks = list(deployment.fake.tasks.values())
        deployment.post("/setup", {"project": UID, "schema": CONFIG})
        requests.post(
            f"{deployment.serve.url}/predict",
            json={"tasks": tasks, "project": UID, "label_config": CONFIG},
            headers={"X-Request-ID": "batch-7"},
            timeout=100,
        ).raise_for_status()
        wait_until(deployment.done, seconds=120)
        wait_until(lambda: text_of(deployment).count(": delivered") == 3)
        words = text_of(deployment)
    assert TOKEN not in words
    lines = [json.loads(each) for each in words.splitlines() if each.startswith("{")]
    places = Counter(each["logger"] for each in lines if each.get("request_id") == "batch-7")
    assert places == {
        "backend.web.request_ids": 1,
        "backend.suggestions.detection_job": 3,
        "backend.suggestions.delivery": 3,
    }
    assert len({each["process"] for each in lines}) >= 3
    # `serve` prints to people what to do next; all other lines are JSON.
    others = [each for each in words.splitlines() if not each.startswith("{")]
    assert others[0].startswith("Ready: ")
    assert others[-1] == "Ctrl-C stops it."


def text_of(deployment: Deployment) -> str:
    assert deployment.serve is not None
    return deployment.serve.words()
