"""What was computed for a version of the log is given again, and for no other version."""

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from loopback_server import Answer, loopback_server
from PIL import Image
from verdict_data import (
    UID,
    added,
    annotation,
    deletion,
    detection,
    event,
    moved,
    predict,
)

from backend.agreement import report_cache
from backend.agreement.figures import AgreementReport, measure_agreement
from backend.agreement.queries import AgreementQueries
from backend.agreement.report_cache import LatestAnswers, ReportCache
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters, State


@pytest.fixture
def cache(any_database: Database) -> ReportCache:
    submit(any_database, 1)
    return ReportCache(Settings(), any_database)


def submit(database: Database, task: int) -> None:
    """Suggest two points for a task, of which the annotator moves one, and record it.

    The annotation lies in the past, so that it may be deleted now.
    """
    regions = predict(database, task, detection((10, 10), (30, 30)))
    event(database, annotation(task, [regions[0], moved(regions[1], 20)], made=-180))
    Recorder(Settings(), database).drain()


def count(report: AgreementReport) -> int:
    return report.overall.figures.annotations


def test_equal_questions_have_one_answer_until_a_verdict_is_recorded(cache, any_database):
    first = cache.figures(Filters())
    assert cache.figures(Filters()) is first
    assert cache.figures(Filters(annotator=2)) is not first
    submit(any_database, 2)
    second = cache.figures(Filters())
    assert (count(first), count(second)) == (1, 2)
    assert second.as_json() | {"made_at": ""} == measure_agreement(
        any_database, Filters()
    ).as_json() | {"made_at": ""}


def changes(database: Database) -> dict[str, Callable[[], object]]:
    """Everything that may change what the report says, and how."""
    recorder = Recorder(Settings(), database)

    def retract() -> None:
        deletion(database, 1)
        recorder.drain()

    def repeat() -> None:
        """The event of a state that the log has: the state came by an event as well."""
        event(database, annotation(1, [], made=5, number=8))
        recorder.drain()
        event(database, annotation(1, [], made=5, number=8))
        recorder.drain()

    def unusable() -> None:
        event(database, None)
        recorder.drain()

    def another_version() -> None:
        predict(database, 1, detection((10, 10)), version="small-xyz", deliver=False)

    def configure() -> None:
        ProjectStorage(database).save_label_config(UID, "<View/>")

    return {
        "a retraction": retract,
        "a repeated event": repeat,
        "an event that cannot be used": unusable,
        "a prediction of another version": another_version,
        "another configuration": configure,
    }


CHANGES = list(changes(Database("sqlite:////unused")))


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_what_the_report_shows_makes_another_version(change, cache, any_database):
    before, found = AgreementQueries(any_database).version(), cache.figures(Filters())
    changes(any_database)[change]()
    assert AgreementQueries(any_database).version() != before
    assert cache.figures(Filters()) is not found


def test_a_retraction_takes_the_annotation_out_of_the_next_answer(cache, any_database):
    assert count(cache.figures(Filters())) == 1
    deletion(any_database, 1)
    Recorder(Settings(), any_database).drain()
    assert count(cache.figures(Filters())) == 0


def test_requests_at_the_same_time_cost_one_computation(cache, monkeypatch):
    started, computed = threading.Barrier(8), []

    def counted(database: Database, filters: Filters) -> AgreementReport:
        computed.append(filters)
        return measure_agreement(database, filters)

    def ask(_: int) -> AgreementReport:
        started.wait(timeout=30)
        return cache.figures(Filters())

    monkeypatch.setattr(report_cache, "measure_agreement", counted)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert len(computed) == 1
    assert len({id(each) for each in found}) == 1


def test_answers_are_never_older_than_what_was_recorded_before_the_question(cache, any_database):
    """A writer records while others ask: whoever asks after a record sees it."""
    recorded = [1]
    problems = []

    def write() -> None:
        for task in range(2, 12):
            submit(any_database, task)
            recorded[0] = task

    def read() -> None:
        while recorded[0] < 11:
            known = recorded[0]
            seen = count(cache.figures(Filters()))
            if seen < known:
                problems.append((known, seen))

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(write), *(pool.submit(read) for _ in range(3))]
        for each in done:
            each.result(timeout=120)
    assert problems == []
    assert count(cache.figures(Filters())) == 11


def test_an_error_is_kept_for_nobody(cache, monkeypatch):
    def fail(*_: object) -> AgreementReport:
        raise MemoryError("too many")

    with monkeypatch.context() as patched:
        patched.setattr(report_cache, "measure_agreement", fail)
        with pytest.raises(MemoryError):
            cache.figures(Filters())
    assert count(cache.figures(Filters())) == 1


def test_the_answer_not_used_for_longest_is_forgotten_and_all_of_another_version(any_database):
    version = AgreementQueries(any_database).version()
    kept: LatestAnswers[int] = LatestAnswers(most=2)
    first, second, third = (Filters(annotator=number) for number in range(3))
    kept.keep(version, first, 1)
    kept.keep(version, second, 2)
    assert kept.find(version, first) == 1  # used last
    kept.keep(version, third, 3)
    assert [kept.find(version, each) for each in (first, second, third)] == [1, None, 3]
    newer = version._replace(states=version.states + 1)
    assert kept.find(newer, first) is None
    kept.keep(newer, second, 4)
    assert [kept.find(version, each) for each in (first, second, third)] == [None] * 3
    assert kept.find(newer, second) == 4


# Pages


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((100, 100, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_page_is_rendered_once_and_each_answer_has_its_own_nonce(database):
    requests = []

    def answer(*_: object) -> Answer:
        requests.append(1)
        return Answer(body=png())

    with loopback_server(answer) as server:
        cache = ReportCache(Settings(image_hosts=("localhost",)), database)
        url = f"http://localhost:{server.port}/a.png"
        regions = predict(database, 1, detection((10, 10)), image=url)
        event(database, annotation(1, [moved(regions[0], 20), added(5, 5)]))
        Recorder(Settings(), database).drain()
        first, second = cache.page(Filters(), "one"), cache.page(Filters(), "two")
        assert len(requests) == 1  # the picture is not fetched again
        submit(database, 2)
        third = cache.page(Filters(), "two")
    assert 'nonce="one"' in first and 'nonce="two"' not in first
    assert second == first.replace('nonce="one"', 'nonce="two"')
    assert third != second


def test_a_page_without_one_of_its_pictures_is_soon_rendered_again(database, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(report_cache, "monotonic", lambda: clock[0])
    ready = []
    with loopback_server(lambda *_: Answer(body=png()) if ready else Answer(status=404)) as server:
        regions = predict(
            database, 2, detection((10, 10)), image=f"http://localhost:{server.port}/a.png"
        )
        event(database, annotation(2, [moved(regions[0], 40)]))
        Recorder(Settings(), database).drain()
        cache = ReportCache(Settings(image_hosts=("localhost",)), database)
        figures = cache.figures(Filters())
        assert "The image cannot be fetched" in cache.page(Filters(), "one")
        ready.append(True)
        clock[0] += report_cache.INCOMPLETE_SECONDS - 1
        assert "The image cannot be fetched" in cache.page(Filters(), "one")
        clock[0] += 2
        assert "The image cannot be fetched" not in cache.page(Filters(), "one")
        assert cache.figures(Filters()) is figures


def test_a_pull_that_tells_only_what_an_annotation_began_as_makes_another_version(
    cache, any_database
):
    predict(any_database, 2, detection((10, 10)))
    recorder = Recorder(Settings(), any_database)

    def pull(parent: int | None) -> tuple[int, int]:
        found = recorder.state_of(UID, annotation(2, [added(50, 50)], parent=parent), "sync")
        assert isinstance(found, State)
        return recorder.verdicts.record([Entry(states=[found])], now())

    assert pull(parent=None) == (1, 0)
    before = cache.figures(Filters()).groups
    assert pull(parent=7) == (0, 0)
    after = cache.figures(Filters()).groups
    assert (before.shown, before.from_scratch) == (1, 1)
    assert (after.shown, after.from_scratch) == (2, 0)
