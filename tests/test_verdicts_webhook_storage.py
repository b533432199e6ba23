"""What is known about the webhooks of projects, on both databases."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from label_studio_fake import CONFIG, TOKEN, UID
from loopback_server import Answer, Request, as_json, loopback_server
from verdict_data import MADE

from backend.commands.doctor_webhooks import check_events
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.webhook_storage import WebhookStorage
from backend.settings import Settings
from backend.verdicts.pull_storage import PullStorage
from backend.verdicts.records import SyncRun
from backend.verdicts.storage import EventStorage
from backend.verdicts.sync import sync
from backend.verdicts.webhook_storage import WebhookState, WebhookStates


@pytest.fixture
def known(any_database: Database) -> Database:
    ProjectStorage(any_database).save_label_config(UID, CONFIG)
    return any_database


def state(database: Database) -> WebhookState:
    [found] = WebhookStates(database).states()
    return found


def pull(database: Database, added: int, seconds: float = 0, problem: str | None = None) -> None:
    run = SyncRun(UID, now() + timedelta(seconds=seconds), 10, added, 0, problem)
    PullStorage(database).add_sync_run(run)


def test_without_events_and_pulls_nothing_is_wrong(known: Database) -> None:
    assert state(known) == WebhookState(UID, None, 0, None, None)
    assert state(known).is_alive
    assert state(known).sentence() == "No event came yet"


def test_a_project_of_cvat_has_no_webhook(known: Database) -> None:
    ProjectStorage(known).save_label_config("cvat:localhost:8080/task/7", CONFIG)
    assert state(known).project_uid == UID


def test_what_was_there_before_the_first_pull_is_not_missing(known: Database) -> None:
    pull(known, 0, problem="down")
    pull(known, 100)
    assert state(known).is_alive


def test_annotations_that_only_a_pull_brings_are_noticed_until_an_event_comes(
    known: Database,
) -> None:
    events = EventStorage(known)
    pull(known, 5)
    events.save_event("ANNOTATION_CREATED", 3, {})
    assert state(known).is_alive
    pull(known, 3, seconds=1)
    pull(known, 2, seconds=2)
    pull(known, 9, seconds=3, problem="cut off")
    found = state(known)
    assert (found.pulled, found.is_alive) == (5, False)
    assert found.sentence().startswith("5 annotations came since the last event (20")
    assert "python -m backend connect --project 3" in found.sentence()
    for uid in ("3.5", "4.1795347724"):
        ProjectStorage(known).save_label_config(uid, CONFIG)
    assert [each.pulled for each in WebhookStates(known).states()] == [5, 0]
    [problem] = check_events(Settings(database_url=_url(known)))
    assert str(problem).startswith("problem  Events of project 3: 5 annotations")


def _url(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def test_a_pull_while_an_event_is_on_its_way_is_no_fault(known: Database) -> None:
    pull(known, 5, seconds=-20)
    pull(known, 1, seconds=-10)
    EventStorage(known).save_event("ANNOTATION_CREATED", 3, {})
    assert state(known).is_alive


GOOD: dict[str, Any] = {
    "id": 1,
    "url": "http://web:9090/webhook",
    "is_active": True,
    "send_payload": True,
    "send_for_all_actions": True,
    "headers": {},
}


@pytest.mark.parametrize(
    ("webhooks", "expected"),
    [
        ([GOOD], None),
        ([], "does not exist"),
        ([{**GOOD, "url": "http://elsewhere/hook"}], "does not exist"),
        ([{**GOOD, "is_active": False}], "switched off"),
        ([{**GOOD, "is_active": False}, GOOD], None),
        ([{**GOOD, "send_payload": False}], "incomplete"),
        ({"detail": "odd"}, None),
    ],
)
def test_a_pull_notices_a_webhook_that_is_missing_or_switched_off(
    known: Database, webhooks: Any, expected: str | None
) -> None:
    uid = f"3.{int(MADE.timestamp())}"
    ProjectStorage(known).save_label_config(uid, CONFIG)

    def handle(request: Request, _: object) -> Answer:
        if request.path.startswith("/api/projects/"):
            return as_json({"id": 3, "created_at": MADE.isoformat(), "label_config": CONFIG})
        if request.path.startswith("/api/webhooks/"):
            return as_json(webhooks)
        return as_json({"total": 0, "tasks": []})

    with loopback_server(handle) as server:
        settings = Settings(label_studio_url=server.url, label_studio_api_key=TOKEN)
        [run] = sync(settings, known, uid)
    assert run.problem is None
    check = WebhookStorage(known).checks().get(uid)
    assert (check.problem if check else None) is None if expected is None else True
    if expected is not None:
        found = next(each for each in WebhookStates(known).states() if each.project_uid == uid)
        assert expected in found.sentence()
        assert "python -m backend connect --project 3" in found.sentence()
        assert not found.is_alive
        assert not replace(found, pulled=0).is_alive
