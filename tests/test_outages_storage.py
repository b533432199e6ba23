"""Rows that wait, in each table of work, on both databases."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from label_studio_fake import CONFIG
from learning_data import lesson, teach
from prediction_rows import UID, ask
from sqlalchemy import select
from waiting_rows import queued

from backend import retries
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.learning.queries import give_up_waiting_examples, waiting_examples
from backend.learning.storage import ExampleStorage
from backend.outages import storage
from backend.outages.records import GIVEN_UP, Cause, JobFilter
from backend.outages.storage import WaitingRows
from backend.suggestions.queries import give_up_waiting, waiting_predictions
from backend.suggestions.storage import PredictionStorage
from backend.training.queries import (
    count_trainings,
    give_up_waiting_trainings,
    retry_trainings,
    waiting_trainings,
)
from backend.training.records import TrainingOptions
from backend.training.storage import TrainingStorage

SERVICE = "image host http://studio"
DAY = 24 * 3600.0


class Work:
    """One row of a table that a worker may take."""

    def __init__(self, kind: str, database: Database) -> None:
        self.kind, self.database = kind, database
        self.rows: WaitingRows
        self.give_up: Callable[[Database, object], int]
        if kind == "prediction":
            [row] = ask(database, 1)
            self.id, self.storage = row.id, PredictionStorage(database)
            self.rows, self.give_up = waiting_predictions(database), give_up_waiting
        elif kind == "example":
            teach(database, 1, lesson(1))
            self.id, self.storage = 1, ExampleStorage(database, limit=20)
            self.rows, self.give_up = waiting_examples(database), give_up_waiting_examples
        else:
            ProjectStorage(database).save_label_config(UID, CONFIG)
            training, _ = TrainingStorage(database).request(UID, TrainingOptions())
            self.id, self.storage = training.id, TrainingStorage(database)
            self.rows, self.give_up = waiting_trainings(database), give_up_waiting_trainings

    def postpone(self, cause: Cause) -> bool:
        return self.storage.postpone(self.id, cause, patience=DAY)

    def retry_at(self) -> datetime | None:
        table = self.rows._table
        with self.database.reading() as connection:
            moment: datetime | None = connection.scalar(select(table.c.retry_at))
        return moment

    def is_queued(self) -> bool:
        return bool(queued(self.storage))

    def row(self) -> object:
        names = {"prediction": "prediction", "example": "example", "training": "training"}
        return getattr(self.storage, names[self.kind])(self.id)


@pytest.fixture(params=["prediction", "example", "training"])
def work(request: pytest.FixtureRequest, any_database: Database) -> Iterator[Work]:
    yield Work(request.param, any_database)


def test_a_row_that_waits_for_a_service_goes_on_when_that_is_back(work: Work) -> None:
    assert work.is_queued()
    assert work.postpone(Cause("status 503", SERVICE))
    assert not work.is_queued()
    assert work.rows.counts() == {SERVICE: 1}
    assert work.rows.wake([SERVICE, "another"]) == 0
    assert not work.is_queued()
    assert work.rows.wake(["another"]) == 1
    assert work.is_queued()
    assert work.rows.wake([]) == 0


def test_one_row_goes_on_to_find_out(work: Work) -> None:
    work.postpone(Cause("status 503", SERVICE))
    assert not work.rows.wake_one("another")
    assert work.rows.wake_one(SERVICE)
    assert work.is_queued()


def test_a_pause_grows_until_the_row_has_waited_for_too_long(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = now()
    monkeypatch.setattr(storage, "jittered", lambda pause: pause)
    monkeypatch.setattr(storage, "now", lambda: start)
    assert work.postpone(Cause("disk full"))
    assert not work.is_queued()
    for waited, pause in ((4, 5), (20, 20), (200, 200), (5000, retries.WAIT.longest)):
        moment = start + timedelta(seconds=waited)
        monkeypatch.setattr(storage, "now", lambda moment=moment: moment)
        assert work.postpone(Cause("disk full"))
        assert work.retry_at() == moment + timedelta(seconds=pause)
    monkeypatch.setattr(storage, "now", lambda: start + timedelta(seconds=DAY + 1))
    assert not work.postpone(Cause("disk full"))


def test_a_row_that_has_waited_for_too_long_is_given_up_with_its_reason(work: Work) -> None:
    work.postpone(Cause("status 503", SERVICE))
    assert work.give_up(work.database, now() - timedelta(hours=1)) == 0
    assert work.give_up(work.database, now() + timedelta(hours=1)) == 1
    row = work.row()
    assert row.status == "failed"  # type: ignore[attr-defined]
    assert row.reason == GIVEN_UP + "status 503"  # type: ignore[attr-defined]
    assert work.rows.counts() == {}


def test_a_row_that_is_done_is_not_postponed(work: Work) -> None:
    work.storage.fail(work.id, "no image")
    assert work.postpone(Cause("status 503", SERVICE))
    assert work.row().reason == "no image"  # type: ignore[attr-defined]
    assert work.rows.counts() == {}


def test_trainings_are_counted_and_go_on_on_request(any_database: Database) -> None:
    work = Work("training", any_database)
    work.postpone(Cause("status 503", SERVICE))
    [count] = count_trainings(any_database, JobFilter())
    assert (count.kind, count.state, count.service) == ("training", "waiting", SERVICE)
    assert retry_trainings(any_database, JobFilter(reason="404")) == 0
    assert retry_trainings(any_database, JobFilter(reason="503")) == 1
    assert work.is_queued()
