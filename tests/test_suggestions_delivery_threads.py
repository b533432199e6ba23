"""Deliveries beside everything else, with two real HTTP servers of which one hangs."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from conftest import wait_until
from label_studio_fake import CONFIG, TOKEN, LabelStudioFake, label_studio_fake
from prediction_rows import DETECTION

from backend.database.connection import Database, now
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.outages.breaker import SharedBreaker
from backend.settings import Settings
from backend.suggestions.delivery import DeliveryService
from backend.suggestions.delivery_threads import DeliveryThreads
from backend.suggestions.records import Wanted
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of

HANGING, OTHER = "3.1795347724", "3.1795347725"


@pytest.fixture
def studios(database: Database) -> Iterator[dict[str, LabelStudioFake]]:
    """The Label Studio of each of two projects."""
    with ExitStack() as stack:
        fakes = {uid: stack.enter_context(label_studio_fake()) for uid in (HANGING, OTHER)}
        for uid, fake in fakes.items():
            ProjectStorage(database).save_connection(
                uid, hostname=fake.url, access_token=TOKEN, label_config=CONFIG
            )
        yield fakes
        for fake in fakes.values():
            fake.hangs = 0


def make_ready(database: Database, uid: str, fake: LabelStudioFake, *tasks: int) -> list[int]:
    storage, ids = PredictionStorage(database), []
    for task in tasks:
        wanted = wanted_of(fake.add_task(task, b""), keypoint_control(CONFIG))
        assert wanted is not None
        [row] = storage.request(uid, "v", [wanted], retry_failed_before=now())
        storage.finish(row.id, DETECTION)
        ids.append(row.id)
    return ids


def service_of(database: Database) -> DeliveryService:
    settings = Settings(suggest="always", basic_auth_user="anna", basic_auth_pass="secret")
    return DeliveryService(settings, database, LabelStudios(settings, SharedBreaker(database)))


def threads_of(database: Database) -> DeliveryThreads:
    return DeliveryThreads(service_of(database))


def test_a_label_studio_that_hangs_slows_its_own_deliveries_alone(
    database: Database, studios: dict[str, LabelStudioFake]
) -> None:
    hanging, other = studios[HANGING], studios[OTHER]
    hanging.hangs = 8
    make_ready(database, HANGING, hanging, 1, 2, 3)
    make_ready(database, OTHER, other, *range(1, 11))
    with threads_of(database).running():
        wait_until(lambda: len(other.predictions) == 10)
        assert hanging.predictions == []


def test_what_is_handed_over_is_delivered_without_waiting_for_it(
    database: Database, studios: dict[str, LabelStudioFake]
) -> None:
    threads = threads_of(database)
    with threads.running():
        [row] = make_ready(database, OTHER, studios[OTHER], 1)
        threads.deliver(row)
        wait_until(lambda: studios[OTHER].of_task(1))
    assert len(studios[OTHER].of_task(1)) == 1


def test_an_unexpected_error_of_one_project_does_not_end_the_deliveries(
    database: Database, studios: dict[str, LabelStudioFake], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_due, failed = DeliveryService.deliver_due, []

    def fail_once(self: DeliveryService, limit: int, project_uid: str | None = None) -> bool:
        if not failed:
            failed.append(project_uid)
            raise ZeroDivisionError
        return deliver_due(self, limit, project_uid)

    monkeypatch.setattr(DeliveryService, "deliver_due", fail_once)
    make_ready(database, OTHER, studios[OTHER], 1)
    with threads_of(database).running():
        wait_until(lambda: studios[OTHER].of_task(1))
    assert failed == [OTHER]


def test_what_is_ready_at_the_same_time_takes_one_look(
    database: Database, studios: dict[str, LabelStudioFake]
) -> None:
    fake = studios[OTHER]
    make_ready(database, OTHER, fake, 1, 2, 3)
    service_of(database).deliver_due(10, OTHER)
    assert [len(fake.of_task(number)) for number in (1, 2, 3)] == [1, 1, 1]
    assert [len(fake.asked("GET", path)) for path in ("/api/tasks/", "/api/predictions/")] == [1, 0]


def test_a_task_that_is_deleted_keeps_no_other_from_its_prediction(
    database: Database, studios: dict[str, LabelStudioFake]
) -> None:
    fake = studios[OTHER]
    gone, *_ = make_ready(database, OTHER, fake, 1, 2, 3)
    del fake.tasks[1]
    service_of(database).deliver_due(10, OTHER)
    assert [len(fake.of_task(number)) for number in (1, 2, 3)] == [0, 1, 1]
    row = PredictionStorage(database).prediction(gone)
    assert row is not None
    assert "is deleted" in (row.reason or "")


def test_tasks_that_cannot_be_fetched_together_are_fetched_one_by_one(
    database: Database, studios: dict[str, LabelStudioFake], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise LabelStudioError("too many", status=400)

    monkeypatch.setattr(LabelStudio, "tasks_by_id", refuse)
    make_ready(database, OTHER, studios[OTHER], 1, 2, 3)
    service_of(database).deliver_due(10, OTHER)
    assert [len(studios[OTHER].of_task(number)) for number in (1, 2, 3)] == [1, 1, 1]


def test_two_predictions_of_one_task_and_version_are_delivered_once(
    database: Database, studios: dict[str, LabelStudioFake]
) -> None:
    """A rectangle was drawn in between: the task needs one prediction of each version."""
    fake = studios[OTHER]
    make_ready(database, OTHER, fake, 1, 2)
    storage = PredictionStorage(database)
    again = Wanted(1, "/data/upload/3/image-1.png", "another input", {})
    [row] = storage.request(OTHER, "v", [again], retry_failed_before=now())
    storage.finish(row.id, DETECTION)
    service_of(database).deliver_due(10, OTHER)
    assert [len(fake.of_task(number)) for number in (1, 2)] == [1, 1]


def test_while_label_studio_is_down_all_wait_after_one_look(
    database: Database, studios: dict[str, LabelStudioFake]
) -> None:
    fake = studios[OTHER]
    ids = make_ready(database, OTHER, fake, 1, 2, 3)
    fake.down = True
    service_of(database).deliver_due(10, OTHER)
    assert len(fake.requests) == 1
    assert fake.predictions == []
    assert {row.checks for row in PredictionStorage(database).predictions(ids)} == {1}
