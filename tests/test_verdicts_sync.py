import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback_server import Answer, as_json, loopback_server
from verdict_data import (
    MADE,
    PROJECT,
    UID,
    added,
    annotation,
    deletion,
    detection,
    event,
    moved,
    predict,
)

from backend.agreement.figures import measure_agreement
from backend.agreement.loading.queries import load_table
from backend.agreement.queries import AgreementQueries
from backend.agreement.records import Arrivals, UnusedCount
from backend.database.connection import Database, now
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.verdicts import sync as sync_module
from backend.verdicts.pull_storage import PullStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters
from backend.verdicts.sync import sync, sync_due


@dataclass
class Project:
    """A project of a small Label Studio: task → its annotations, as the API lists them."""

    settings: Settings
    annotations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    made_at: str = MADE.isoformat()
    hidden_tasks: set[int] = field(default_factory=set)
    malformed_tasks: list[object] = field(default_factory=list)
    knows_annotations: bool = True
    meanwhile: Callable[[int], None] = lambda _: None  # called by every page of tasks

    def add(self, made: dict[str, Any]) -> None:
        self.annotations.setdefault(made["task"], []).append(made)

    def all(self) -> list[dict[str, Any]]:
        return [each for of_task in self.annotations.values() for each in of_task]


@pytest.fixture
def project() -> Iterator[Project]:
    def handle(request, _) -> Answer:
        path = urlsplit(request.path).path
        if path == "/api/projects/3/":
            return as_json({"id": 3, "created_at": found.made_at, "label_config": ""})
        if path == "/api/tasks/":
            asked = json.loads(parse_qs(urlsplit(request.path).query)["query"][0])
            after = asked["filters"]["items"][0]["value"]
            try:
                found.meanwhile(after)
            except ConnectionAbortedError:
                return as_json({"detail": "database is locked"}, 503)
            tasks: list[object] = [
                {"id": task, "annotations": made}
                for task, made in sorted(found.annotations.items())
                if task not in found.hidden_tasks and task > after
            ]
            if len(tasks) <= 100:
                tasks += found.malformed_tasks
            return as_json({"total": len(tasks), "tasks": tasks[:100]})
        if not found.knows_annotations:
            return as_json({"detail": "database is locked"}, 500)
        number = int(path.strip("/").split("/")[-1])
        known = [each for each in found.all() if each["id"] == number]
        return as_json(known[0]) if known else as_json({"detail": "not found"}, 404)

    with loopback_server(handle) as server:
        found = Project(Settings(label_studio_url=server.url))
        yield found


def log_of(project: Project, database: Database) -> dict[str, Any]:
    """Every figure; what depends on the way that annotations came is left out."""
    recorder = Recorder(project.settings, database)
    recorder.drain()
    found = measure_agreement(recorder.database, Filters()).as_json()
    for name in ("made_at", "events", "worst_tasks"):
        del found[name]
    return found


def work(project: Project, database: Database, tasks: range) -> list[dict[str, Any]]:
    """Annotate tasks as an annotator would; return the annotations."""
    told = []
    for task in tasks:
        regions = predict(database, task, detection((10, 10), (30, 30), (60, 60)))
        made = annotation(task, [regions[0], moved(regions[1], task % 7)], annotator=task % 3)
        project.add(made)
        told.append(made)
    return told


def test_with_the_webhook_off_for_fifty_annotations_sync_leads_to_the_same_figures(
    project, database, tmp_path
):
    told = work(project, database, range(1, 71))
    for made in told[:20]:
        event(database, made)
    with_events = Database(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    with_events.migrate()
    for made in told:
        predict(with_events, made["task"], detection((10, 10), (30, 30), (60, 60)))
        event(with_events, made)

    [pulled] = sync(project.settings, database)

    assert (pulled.annotations, pulled.added, pulled.retracted, pulled.problem) == (70, 50, 0, None)
    assert log_of(project, database) == log_of(project, with_events)
    recorder = Recorder(project.settings, database)
    assert load_table(recorder.database, Filters()).arrivals == Arrivals(20, 50, 50)
    with_events.close()


def test_syncing_twice_adds_nothing(project, database):
    work(project, database, range(1, 6))
    sync(project.settings, database)
    before = log_of(project, database)
    [pulled] = sync(project.settings, database)
    assert (pulled.added, pulled.retracted) == (0, 0)
    assert log_of(project, database) == before


def test_an_event_that_comes_after_the_pull_is_not_counted_as_lost(project, database):
    [made] = work(project, database, range(1, 2))
    sync(project.settings, database)
    event(database, made)
    recorder = Recorder(project.settings, database)
    recorder.drain()
    assert load_table(recorder.database, Filters()).arrivals == Arrivals(1, 0, 0)


PAST = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}


def test_a_lost_deletion_is_found_out(project, database):
    regions = predict(database, 1, detection((10, 10)))
    event(database, annotation(1, regions, **PAST))
    [pulled] = sync(project.settings, database)
    assert pulled.retracted == 1
    assert log_of(project, database)["overall"]["points"]["suggested"] == 0
    [again] = sync(project.settings, database)
    assert again.retracted == 0


def test_an_annotation_that_cannot_be_asked_for_does_not_count_as_deleted(project, database):
    regions = predict(database, 1, detection((10, 10)))
    event(database, annotation(1, regions, **PAST))
    project.knows_annotations = False
    [pulled] = sync(project.settings, database)
    assert pulled.problem is not None and "database is locked" in pulled.problem
    assert log_of(project, database)["overall"]["points"]["suggested"] == 1


def test_annotations_of_several_batches_are_all_recorded(project, database, monkeypatch):
    monkeypatch.setattr("backend.verdicts.sync.BATCH", 2)
    work(project, database, range(1, 6))
    [pulled] = sync(project.settings, database)
    assert (pulled.annotations, pulled.added) == (5, 5)


def test_a_pull_that_was_interrupted_goes_on_where_it_was(project, database):
    """Its counts are those of the whole, and deletions are found on all pages, once."""
    gone = predict(database, 40, detection((10, 10)))
    event(database, annotation(40, gone, number=4000, **PAST))
    last = predict(database, 500, detection((10, 10)))
    event(database, annotation(500, last, number=5000, **PAST))
    work(project, database, range(1, 40))
    project.annotations |= {task: [] for task in range(41, 300)}
    work(project, database, range(300, 310))
    asked: list[int] = []

    def meanwhile(after: int) -> None:
        asked.append(after)
        if len(asked) == 3:
            raise ConnectionAbortedError

    project.meanwhile = meanwhile
    told: list[tuple[str, int, int | None]] = []
    [first] = sync(project.settings, database, None, lambda *step: told.append(step))
    assert first.problem is not None
    [second] = sync(project.settings, database, None, lambda *step: told.append(step))
    assert asked == [0, 101, 201, 201, 301]
    assert told == [(UID, tasks, None) for tasks in (100, 200, 300, 308)]
    counts = (second.annotations, second.added, second.retracted, second.problem)
    assert counts == (49, 49, 2, None)
    assert second.started_at == first.started_at
    [third] = sync(project.settings, database)
    assert (third.annotations, third.added, third.retracted) == (49, 0, 0)


def test_a_task_that_a_page_missed_loses_no_annotation(project, database):
    regions = predict(database, 1, detection((10, 10)))
    made = annotation(1, regions, **PAST)
    project.add(made)
    event(database, made)
    project.hidden_tasks.add(1)
    [pulled] = sync(project.settings, database)
    assert pulled.retracted == 0


def test_an_annotation_that_exists_counts_although_its_deletion_was_reported(project, database):
    regions = predict(database, 1, detection((10, 10)))
    made = annotation(1, regions, **PAST)
    project.add(made)
    event(database, made)
    deletion(database, 1)
    assert log_of(project, database)["overall"]["points"]["suggested"] == 0
    sync(project.settings, database)
    assert log_of(project, database)["overall"]["points"]["suggested"] == 1


def test_a_project_that_is_gone_keeps_what_its_annotators_did(project, database):
    regions = predict(database, 1, detection((10, 10)))
    event(database, annotation(1, regions, **PAST))
    project.made_at = "2030-01-01T00:00:00Z"  # its number was given to another
    [pulled] = sync(project.settings, database)
    assert pulled.problem == "the project is no longer in Label Studio"
    assert log_of(project, database)["overall"]["points"]["suggested"] == 1


def test_a_project_that_was_deleted_is_said_to_be_gone(project, database):
    ProjectStorage(database).save_label_config("4.1795347724", "<View/>")
    [pulled] = sync(project.settings, database)
    assert pulled.problem == "the project is no longer in Label Studio"


def test_a_label_studio_that_is_down_is_reported_and_nothing_changes(project, database):
    predict(database, 1, detection((10, 10)))
    down = Settings(label_studio_url="http://127.0.0.1:1")
    [pulled] = sync(down, database)
    assert pulled.problem is not None and "127.0.0.1:1" in pulled.problem


def test_the_periodic_pull_waits_for_its_time(project, database):
    work(project, database, range(1, 2))
    often = project.settings.model_copy(update={"sync_every": 3600.0})
    assert sync_due(often, database)
    assert not sync_due(often, database)
    assert not sync_due(project.settings.model_copy(update={"sync_every": 0.0}), database)


def test_a_clock_that_was_set_back_a_day_does_not_stop_the_pulls(project, database, monkeypatch):
    work(project, database, range(1, 2))
    often = project.settings.model_copy(update={"sync_every": 3600.0})
    real = sync_module.now
    with monkeypatch.context() as ahead:
        ahead.setattr(sync_module, "now", lambda: real() + timedelta(days=1))
        assert sync_due(often, database)
    assert sync_due(often, database)
    assert not sync_due(often, database)


def test_only_the_project_that_is_asked_for_is_pulled(project, database):
    work(project, database, range(1, 2))
    ProjectStorage(database).save_label_config("4.1", "<View/>")
    assert [each.project_uid for each in sync(project.settings, database, "3")] == [UID]
    assert PROJECT["id"] == 3


def test_event_and_pull_make_the_same_rows(project, any_database):
    [made] = work(project, any_database, range(1, 2))
    event(any_database, made)
    recorder = Recorder(project.settings, any_database)
    recorder.drain()
    [pulled] = sync(project.settings, any_database)
    assert pulled.added == 0
    portions = AgreementQueries(recorder.database).verdict_rows(Filters())
    rows = [row for portion in portions for row in portion]
    assert [row.verdict for row in rows] == ["deleted", "accepted", "moved", "deleted"]


def test_a_project_that_label_studio_did_not_name_does_not_spoil_the_others(project, database):
    work(project, database, range(1, 2))
    ProjectStorage(database).save_label_config("mine", "<View/>")
    good, other = sync(project.settings, database)
    assert (good.project_uid, good.added, good.problem) == (UID, 1, None)
    assert other.problem is not None and "'mine'" in other.problem


def test_malformed_annotations_are_counted_or_skipped_and_spoil_no_other(project, database):
    [made] = work(project, database, range(1, 2))
    project.annotations[1] += ["nothing", {"id": "x"}]
    project.annotations[2] = None
    project.malformed_tasks += ["nothing", None]
    [pulled] = sync(project.settings, database)
    assert (pulled.annotations, pulled.added, pulled.problem) == (2, 1, None)
    assert load_table(database, Filters()).unused == [UnusedCount("an annotation without an id", 1)]
    assert made["id"] == 1


def test_the_result_of_a_sync_is_stored_with_its_start(project, database):
    verdicts = PullStorage(database)
    assert verdicts.last_synced_at(UID) is None
    work(project, database, range(1, 2))
    before = now()
    [first] = sync(project.settings, database)
    assert before <= first.started_at <= now()
    assert verdicts.last_synced_at(UID) == first.started_at
    [second] = sync(project.settings, database)
    assert verdicts.last_synced_at(UID) == second.started_at > first.started_at


def as_label_studio_sends_it(made: dict[str, Any], prediction: int) -> dict[str, Any]:
    """An annotation in an event, with every field that Label Studio 1.23 writes."""
    return {
        **made,
        "lead_time": 4,
        "ground_truth": False,
        "draft_created_at": None,
        "prediction": {},
        "result_count": len(made["result"]),
        "unique_id": "f29f2cb8-dabc-4819-b281-328d2da2ebac",
        "import_id": None,
        "last_action": None,
        "bulk_created": False,
        "updated_by": made["completed_by"],
        "parent_prediction": prediction,
        "parent_annotation": None,
        "last_created_by": None,
    }


def as_its_api_lists_it(sent: dict[str, Any]) -> dict[str, Any]:
    """The same annotation through the API, after its prediction was deleted."""
    user = {"id": sent["completed_by"], "email": "annotator@example.org", "initials": "an"}
    found = {name: sent[name] for name in sent if name not in ("prediction", "result_count")}
    more = {"created_username": "annotator@example.org, 1", "created_ago": "0 minutes"}
    return {**found, **more, "completed_by": user, "lead_time": 4.0, "parent_prediction": None}


@pytest.mark.parametrize("trial", range(12))
def test_a_prediction_deleted_in_label_studio_leaves_the_figures_as_they_are(
    project, any_database, trial
):
    predict(any_database, 1, detection((10, 10), (30, 30), (60, 60)), label_studio_id=40 + trial)
    drawn = [added(10 + 20 * place, 12 + 20 * place, region_id=f"n{place}") for place in range(3)]
    made = annotation(1, drawn, number=1000 + 37 * trial, minutes=trial)
    sent = as_label_studio_sends_it(made, 40 + trial)
    event(any_database, sent)
    before = log_of(project, any_database)
    counts = before["overall"]["points"]
    assert (counts["deleted"], counts["added"], counts["moved"]) == (3, 3, 0)
    project.add(as_its_api_lists_it(sent))
    for _ in range(2):
        [pulled] = sync(project.settings, any_database)
        assert (pulled.annotations, pulled.added, pulled.problem) == (1, 0, None)
    assert log_of(project, any_database) == before
    assert load_table(any_database, Filters()).arrivals == Arrivals(1, 0, 0)


def test_a_pull_that_failed_is_repeated_sooner_and_sooner_no_more(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pauses grow up to the regular one; a success starts over."""
    work(project, database, range(1, 2))
    moment = [now()]
    monkeypatch.setattr("backend.verdicts.sync.now", lambda: moment[0])
    monkeypatch.setattr("backend.verdicts.sync.jittered", lambda pause: pause)
    hourly = project.settings.model_copy(update={"sync_every": 100.0})
    away = hourly.model_copy(update={"label_studio_url": "http://127.0.0.1:1"})

    def pulls_after(settings: Settings, *pauses: float) -> list[bool]:
        pulled = []
        for pause in pauses:
            moment[0] += timedelta(seconds=pause)
            pulled.append(sync_due(settings, database))
        return pulled

    assert pulls_after(away, 0, 14, 2, 29, 2, 59, 2, 99, 2) == [
        True,
        *[False, True] * 4,
    ]
    assert pulls_after(hourly, 101, 16, 85) == [True, False, True]


def test_a_project_that_raises_an_error_does_not_keep_the_others_from_being_pulled(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(project, database, range(1, 2))
    ProjectStorage(database).save_label_config("2.1", "<View/>")
    find = sync_module._project

    def broken(client: LabelStudio, uid: str, project_id: int) -> Any:
        if uid == "2.1":
            raise ZeroDivisionError("a fault of the program")
        return find(client, uid, project_id)

    monkeypatch.setattr(sync_module, "_project", broken)
    first, second = sync(project.settings, database)
    assert first.problem == "ZeroDivisionError: a fault of the program"
    assert (second.project_uid, second.problem, second.annotations) == (UID, None, 1)


def test_an_annotation_that_raises_an_error_is_listed_and_the_others_are_added(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(project, database, range(1, 4))
    state_of = Recorder.state_of

    def broken(self: Recorder, uid: str | None, raw: Any, *more: Any) -> Any:
        if raw["task"] == 2:
            raise OverflowError("integer too large")
        return state_of(self, uid, raw, *more)

    monkeypatch.setattr(Recorder, "state_of", broken)
    [pulled] = sync(project.settings, database)
    assert (pulled.annotations, pulled.added, pulled.problem) == (3, 2, None)
