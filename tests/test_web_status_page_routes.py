"""The status page in a real browser, its JSON, and its button."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect
from prediction_rows import ask
from redis import Redis
from rq import Queue
from sqlalchemy import event, insert, text
from status_scene import SERVICE, UIDS, fill, request, served

from backend.database.connection import Database, now
from backend.labelstudio.webhook_storage import WebhookStorage
from backend.settings import Settings
from backend.suggestions.queue import make_queue
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.tables import predictions
from backend.web.app import create_app
from backend.web.wording import say_count, say_duration

HTML = {"Accept": "text/html"}


@pytest.fixture
def busy(database: Database, queue: Queue, unread_weights: Path) -> Flask:
    """A deployment in which a lot goes on."""
    fill(database, queue.connection)
    return create_app(Settings(model_weights=str(unread_weights)), database, queue)


@pytest.fixture
def address(busy: Flask) -> Iterator[str]:
    with served(busy) as url:
        yield url


def test_the_page_says_what_is_wrong_with_a_webhook(busy: Flask, database: Database) -> None:
    WebhookStorage(database).save_check(UIDS[0], "is switched off")
    assert "it is switched off" in busy.test_client().get("/", headers=HTML).text


def test_the_status_tells_queues_workers_batches_and_failures(busy: Flask) -> None:
    found = busy.test_client().get("/status").json
    assert found is not None
    queues = {each["name"]: each for each in found["queues"]}
    assert queues["predictions"]["waiting"] == 45  # 33 of the batch, and 12 that wait for a host
    assert queues["opened"] == {"name": "opened", "waiting": 0, "oldest": None}
    assert queues["deliveries"]["waiting"] == 24
    assert queues["interactive"] == {"name": "interactive", "waiting": 0, "oldest": None}
    [worker] = found["workers"]
    assert (worker["doing"], worker["task_id"]) == ("detects keypoints", 31)
    assert worker["project_uid"] == UIDS[0]
    batch = found["batches"][UIDS[0]]
    assert (batch["waiting"], batch["done"]) == (33, 27)
    # 27 in 250 s, so 33 more take 305 s.
    assert batch["seconds_left"] == pytest.approx(305, rel=0.05)
    assert found["batches"][UIDS[1]]["seconds_left"] is None
    assert [(each["state"], each["count"]) for each in found["not_done"]] == [
        ("failed", 3),
        ("waiting", 12),
        ("failed", 1),
    ]
    assert [each["service"] for each in found["away"]] == [SERVICE]
    assert found["webhooks"][UIDS[1]]["failed_pull"] is None
    assert found["webhooks"][UIDS[0]]["last_event_at"] == found["last_event_at"]


def test_without_redis_the_page_says_so(database: Database, unread_weights: Path) -> None:
    queue = make_queue(Redis(port=1, socket_connect_timeout=1, retry=None))
    client = create_app(Settings(model_weights=str(unread_weights)), database, queue).test_client()
    assert "Redis cannot be reached" in client.get("/", headers=HTML).text
    assert client.get("/status").json["workers"] is None  # type: ignore[index]


def test_without_workers_the_page_says_how_to_start_one(client: FlaskClient) -> None:
    assert "No worker is running" in client.get("/", headers=HTML).text


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_needs_nothing_from_elsewhere(
    browser_page: Page, address: str, width: int
) -> None:
    asked: list[str] = []
    problems: list[str] = []
    browser_page.on("request", lambda each: asked.append(each.url))
    browser_page.on("console", lambda each: problems.append(each.text))
    browser_page.on("pageerror", lambda each: problems.append(str(each)))
    browser_page.set_viewport_size({"width": width, "height": 900})
    browser_page.goto(address)
    browser_page.evaluate("refresh()")
    assert browser_page.evaluate("document.documentElement.scrollWidth") == width
    assert {each.removeprefix(address) for each in asked} <= {"/", "/status.js", "/status"}
    assert problems == []
    expect(browser_page.get_by_text("27 of 60 suggestions")).to_be_visible()
    expect(browser_page.get_by_text("task 31 of project 1")).to_be_visible()


def test_a_screen_reader_finds_sections_progress_and_distinct_buttons(
    browser_page: Page, address: str
) -> None:
    browser_page.goto(address)
    for name in ("Queues", "Workers", "Failed and waiting", "Projects", "Trainings and models"):
        expect(browser_page.get_by_role("region", name=name)).to_be_visible()
    progress = browser_page.get_by_role("progressbar", name="Running batch of Project 1")
    assert (progress.get_attribute("value"), progress.get_attribute("max")) == ("27", "60")
    names = [each.text_content() for each in browser_page.get_by_role("button").all()]
    assert names == [
        "Try again 3 predictions of Project 1",
        "Try again 12 predictions of Project 2",
        "Try everything again",
    ]


def test_the_page_follows_what_happens_without_being_loaded_again(
    browser_page: Page, address: str, busy: Flask, database: Database
) -> None:
    browser_page.goto(address)
    browser_page.evaluate("window.sameDocument = true")
    request(database, UIDS[2], 7)
    busy.extensions["backend"].status.forget()
    browser_page.evaluate("refresh()")
    expect(browser_page.get_by_text("0 of 7 suggestions")).to_be_visible()
    expect(browser_page.locator("#freshness")).to_contain_text("refreshed every 5 s")
    assert browser_page.evaluate("window.sameDocument")


def test_a_backend_that_does_not_answer_is_said_on_the_page(
    browser_page: Page, busy: Flask
) -> None:
    with served(busy) as address:
        browser_page.goto(address)
        browser_page.wait_for_function("typeof refresh === 'function'")
    browser_page.evaluate("refresh()")
    expect(browser_page.locator("#freshness")).to_contain_text("does not answer")


@pytest.mark.parametrize("with_script", [True, False])
def test_the_button_tries_again_what_its_row_tells(
    browser_page: Page, address: str, database: Database, with_script: bool
) -> None:
    if not with_script:
        browser_page.route("**/status.js", lambda route: route.abort())
    browser_page.goto(address)
    row = browser_page.get_by_role("row").filter(has_text="got status 404")
    row.get_by_role("button").click()
    expect(browser_page.get_by_text("3 rows of work tried again")).to_be_visible()
    expect(browser_page.get_by_text("got status 404")).to_have_count(0)
    expect(browser_page.get_by_text("12 predictions", exact=True)).to_be_visible()
    browser_page.unroute_all()
    storage = PredictionStorage(database)
    assert storage.predictions_by_status() == {"queued": 48, "ready": 24}


def failed(database: Database) -> None:
    for row in ask(database, 1, 2):
        PredictionStorage(database).fail(row.id, f"expected 100% at http://host/{row.id}, got 404")


@pytest.mark.parametrize(
    ("reason", "count"),
    [
        ("expected 100% at http://host/…, got 404", 2),
        ("got 404", 2),
        ("http://host/2", 1),
        ("expected 100", 2),
        ("1%at", 0),
        ("http://host/…, got 500", 0),
        ("_", 0),
        ("", 2),
    ],
)
def test_the_reason_of_a_retry_is_a_part_in_which_dots_stand_for_anything(
    client: FlaskClient, database: Database, reason: str, count: int
) -> None:
    failed(database)
    answer = client.post("/jobs/retry", data={"reason": reason})
    assert answer.json == {"tried_again": count}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8080"}, 403),
    ],
)
def test_a_page_of_another_site_cannot_press_the_button(
    client: FlaskClient, database: Database, headers: dict[str, str], status: int
) -> None:
    failed(database)
    answer = client.post("/jobs/retry", headers=headers)
    assert answer.status_code == status
    left = PredictionStorage(database).predictions_by_status()
    assert left == ({"queued": 2} if status == 200 else {"failed": 2})


def test_a_retry_with_text_that_no_database_takes_is_refused(client: FlaskClient) -> None:
    assert client.post("/jobs/retry", data={"project": "a\0"}).status_code == 400


def test_what_others_have_written_is_escaped(client: FlaskClient, database: Database) -> None:
    [row] = ask(database, 1)
    PredictionStorage(database).fail(row.id, '"><script>alert(1)</script>')
    page = client.get("/?retried=<b>", headers=HTML).text
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_queries_read_no_more_than_an_index_of_many_rows(any_database: Database) -> None:
    """With 20,000 rows that wait and are done, no statement scans the table."""
    request(any_database, UIDS[0], 1)
    [row] = PredictionStorage(any_database).of_task(1)
    with any_database.reading() as connection:
        found = connection.execute(predictions.select().where(predictions.c.id == row.id)).one()
    values = {name: value for name, value in found._mapping.items() if name != "id"}
    done = {"status": "ready", "finished_at": now(), "check_at": None}
    with any_database.writing() as connection:
        for start, more in ((10, {}), (20010, done)):
            rows = [{**values, "task_id": start + each, **more} for each in range(20000)]
            connection.execute(insert(predictions), rows)
        if any_database.engine.name == "postgresql":  # which does so by itself; SQLite never does
            connection.execute(text("ANALYZE"))
    plans = plans_of_status(any_database)
    assert len(plans) == 6
    for plan in plans:
        assert "SCAN predictions\n" not in plan + "\n"
        assert "Seq Scan on predictions" not in plan


def statements_of_page(client: FlaskClient, database: Database) -> int:
    """How many statements make the status page."""
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    client.application.extensions["backend"].status.forget()
    event.listen(database.engine, "before_cursor_execute", note)
    assert client.get("/", headers=HTML).status_code == 200
    event.remove(database.engine, "before_cursor_execute", note)
    return len(statements)


def test_the_number_of_statements_does_not_grow_with_the_projects(
    database: Database, queue: Queue, unread_weights: Path
) -> None:
    app = create_app(Settings(model_weights=str(unread_weights)), database, queue)
    client = app.test_client()
    counts = []
    for number in (1, 2, 60):
        for each in range(number):
            request(database, f"{each + 1}.17", 2, first=number * 10)
        counts.append(statements_of_page(client, database))
    assert counts[1] == counts[2]


def plans_of_status(database: Database) -> list[str]:
    """The plans of the statements about predictions that make the status."""
    from backend.outages.records import JobFilter
    from backend.suggestions.status_storage import WorkStatus
    from backend.suggestions.unfinished_work import UnfinishedWork

    statements: list[tuple[str, object]] = []

    def note(_: object, __: object, statement: str, values: object, *___: object) -> None:
        if "FROM predictions" in statement:
            statements.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    WorkStatus(database).queues()
    WorkStatus(database).batches()
    UnfinishedWork(database).counts(JobFilter(with_queued=False))
    event.remove(database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if database.engine.name == "sqlite" else "EXPLAIN "
    with database.reading() as connection:
        return [
            "\n".join(
                str(each[-1]) for each in connection.exec_driver_sql(explain + statement, values)
            )
            for statement, values in statements
        ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (600, "10 min"),
        (3700, "1 h 1 min"),
        (90000, "1 d 1 h"),
        (10 * 86400 + 7200, "10 d"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, words: str) -> None:
    assert say_duration(seconds) == words


def test_counts_have_a_plural() -> None:
    assert say_count(1, "delivery") == "1 delivery"
    assert say_count(2000, "delivery") == "2,000 deliveries"
    assert say_count(2, "corrected image") == "2 corrected images"
