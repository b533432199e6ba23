"""The command `jobs` and the route `/jobs`, with real rows on both databases."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from learning_data import lesson, teach
from prediction_rows import UID, ask, fetched
from verdict_data import event
from waiting_rows import queued

from backend.__main__ import main
from backend.commands import jobs as command
from backend.database.connection import Database
from backend.learning.storage import ExampleStorage
from backend.outages.breaker import SharedBreaker
from backend.outages.records import GIVEN_UP, Cause, JobFilter
from backend.settings import Settings
from backend.suggestions.queries import waiting_predictions
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.verdicts.set_aside_storage import SetAsideStorage

SERVICE = "image host http://studio"
PATIENCE = {"patience": 3600.0}


def broken(number: int, status: int) -> str:
    return f"expected an image at http://studio/data/{number}.png, got status {status}"


@pytest.fixture
def rows(any_database: Database) -> list[int]:
    """One prediction that is queued, two that wait, two that failed, one that was given up."""
    storage = PredictionStorage(any_database)
    ids = [row.id for row in ask(any_database, 1, 2, 3, 4, 5, 6)]
    for number in (1, 2):
        assert storage.postpone(ids[number], Cause(broken(number, 503), SERVICE), **PATIENCE)
    for number in (3, 4):
        storage.fail(ids[number], broken(number, 404))
    storage.fail(ids[5], GIVEN_UP + broken(5, 401))
    return ids


def summary(database: Database, **filters: Any) -> list[tuple[str, str, int]]:
    found = UnfinishedWork(database).counts(JobFilter(**filters))
    return sorted((each.kind, each.state, each.count) for each in found)


def test_work_is_counted_by_state_and_reason_whatever_the_task(
    any_database: Database, rows: list[int]
) -> None:
    found = UnfinishedWork(any_database).counts(JobFilter())
    assert {(each.state, each.reason, each.service, each.count) for each in found} == {
        ("queued", "", None, 1),
        ("waiting", "expected an image at http://studio/…, got status 503", SERVICE, 2),
        ("failed", "expected an image at http://studio/…, got status 404", None, 2),
        (
            "given up",
            GIVEN_UP + "expected an image at http://studio/…, got status 401",
            None,
            1,
        ),
    }


def test_filters_choose_by_project_and_reason(any_database: Database, rows: list[int]) -> None:
    assert summary(any_database, project_uid="9.1") == []
    assert summary(any_database, reason="status 404") == [("prediction", "failed", 2)]
    assert summary(any_database, reason="%") == [], "no pattern, but text"


def test_a_retry_takes_only_what_its_filters_choose(
    any_database: Database, rows: list[int]
) -> None:
    work = UnfinishedWork(any_database)
    assert work.retry(JobFilter(UID, "status 404")) == 2
    assert summary(any_database) == [
        ("prediction", "given up", 1),
        ("prediction", "queued", 3),
        ("prediction", "waiting", 2),
    ]
    assert fetched(any_database, rows[3]).round == 2
    assert work.retry(JobFilter()) == 3
    assert [row for row, _ in queued(PredictionStorage(any_database))] == rows
    assert waiting_predictions(any_database).counts() == {}


def test_corrected_images_and_events_are_listed_as_well(any_database: Database) -> None:
    teach(any_database, 1, lesson(1))
    examples = ExampleStorage(any_database, limit=20)
    examples.fail(1, "no image")
    assert summary(any_database) == [("corrected image", "failed", 1)]
    assert UnfinishedWork(any_database).retry(JobFilter()) == 1
    assert queued(examples) == [(1, 2)]


def test_the_command_prints_a_line_for_each_reason(
    any_database: Database,
    rows: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = any_database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url.replace("+psycopg", ""))
    SharedBreaker(any_database).failed(SERVICE, "status 503", certain=True, retry_after=None)
    SetAsideStorage(any_database).set_aside(event(any_database, None), "OverflowError: too large")
    assert main(["jobs"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"UTC: {SERVICE}")
    assert "project 3, prediction: 2 waiting, since " in "\n".join(lines)
    assert lines[-1] == "event 1 (ANNOTATION_CREATED) set aside: OverflowError: too large"
    assert main(["jobs", "--json", "--reason", "status 404"]) == 1
    [one] = json.loads(capsys.readouterr().out)["jobs"]
    assert (one["state"], one["count"]) == ("failed", 2)
    assert main(["jobs", "retry", "--project", "3", "--reason", "404"]) == 0
    assert capsys.readouterr().out.startswith("2 tried again")
    assert main(["jobs", "--project", "99"]) != 0
    assert command.retry_jobs(Settings(database_url=url.replace("+psycopg", "")), None, None) == 0


def test_the_route_gives_the_same_as_json(client: FlaskClient, database: Database) -> None:
    [row, _] = ask(database, 1, 2)
    PredictionStorage(database).fail(row.id, broken(1, 404))
    SetAsideStorage(database).set_aside(event(database, None), "OverflowError: too large")
    SharedBreaker(database).failed(SERVICE, "status 503", certain=True, retry_after=None)
    found = client.get("/jobs").json
    assert found is not None
    assert [(each["state"], each["count"]) for each in found["jobs"]] == [
        ("failed", 1),
        ("queued", 1),
    ]
    assert [each["service"] for each in found["services_away"]] == [SERVICE]
    assert [each["reason"] for each in found["events_set_aside"]] == ["OverflowError: too large"]
    filtered = client.get("/jobs?reason=503").json
    assert filtered is not None
    assert filtered["jobs"] == []
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "1 event of Label Studio cannot be handled" in page
    assert f"Work waits for the {SERVICE}" in page


@pytest.mark.parametrize(
    "path", ["/jobs?project=%00", "/jobs/1?project=%00", "/training?project=%00"]
)
def test_a_character_that_no_database_takes_is_refused(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 400
