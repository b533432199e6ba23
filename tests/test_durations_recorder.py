"""Durations of all processes are added up in the database."""

import subprocess
import sys
from datetime import timedelta

import pytest
from conftest import at_once
from serving import ROOT
from sqlalchemy import text

from backend.database.connection import Database
from backend.durations.recorder import DurationRecorder
from backend.durations.records import BOUND_NAMES, Series
from backend.durations.storage import DurationStorage


def test_each_duration_is_counted_in_its_bucket(any_database: Database) -> None:
    recorder = DurationRecorder()
    for seconds in (0.005, 0.01, 0.3, 0.4, 4000.0, -1.0):
        recorder.add("stage", "fetch", seconds)
    recorder.store(any_database)
    found = DurationStorage(any_database).series()[("stage", "fetch")]
    assert sum(found.seconds) == pytest.approx(4000.715)
    cumulative = dict(found.cumulative())
    assert (cumulative["0.01"], cumulative["0.25"], cumulative["0.5"]) == (3, 3, 5)
    assert (cumulative["1800"], cumulative["+Inf"]) == (5, 6)


def test_processes_add_to_the_same_counts(any_database: Database) -> None:
    def work(number: int) -> None:
        recorder = DurationRecorder()
        for _ in range(20):
            recorder.add("stage", "detect", 0.2)
            recorder.add("suggestion", "push" if number % 2 else "reply", 1.5)
            recorder.store(any_database)

    at_once(4, work)
    found = DurationStorage(any_database).series()
    assert {key: sum(series.counts) for key, series in found.items()} == {
        ("stage", "detect"): 80,
        ("suggestion", "push"): 40,
        ("suggestion", "reply"): 40,
    }
    assert sum(found[("stage", "detect")].seconds) == pytest.approx(16.0)


def test_what_cannot_be_stored_is_stored_the_next_time(any_database: Database) -> None:
    recorder = DurationRecorder()
    recorder.add("stage", "write", 0.2)
    with any_database.writing() as connection:
        connection.execute(text("ALTER TABLE durations RENAME TO away"))
    with pytest.raises(Exception, match="durations"):
        recorder.store(any_database)
    recorder.add("stage", "write", 0.2)
    with any_database.writing() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO durations"))
    recorder.store(any_database)
    recorder.store(any_database)
    found = DurationStorage(any_database).series()[("stage", "write")]
    assert sum(found.counts) == 2


def test_buckets_of_another_version_are_left_out(database: Database) -> None:
    series = Series()
    series.add(0.3)
    DurationStorage(database).add({("stage", "fetch"): series})
    with database.writing() as connection:
        connection.execute(text("UPDATE durations SET bound = '0.123'"))
    assert DurationStorage(database).series() == {}
    assert "0.123" not in BOUND_NAMES


MEASURED = """
import sys, time
from datetime import UTC, datetime, timedelta
from backend.database.connection import Database
from backend.durations import recorder

recorder.STORED_EVERY_SECONDS = 0.05
recorder.store_in_background(Database(sys.argv[1]))
with recorder.measured_stage("detect"):
    time.sleep(0.06)
try:
    with recorder.measured_stage("fetch"):
        raise OSError
except OSError:
    pass
recorder.record_suggestion("push", datetime.now(UTC) - timedelta(seconds=20))
time.sleep(0.5)
"""


def test_a_process_stores_what_it_measures_and_no_failure(database: Database) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    subprocess.run([sys.executable, "-c", MEASURED, url], cwd=ROOT, check=True, timeout=60)
    found = DurationStorage(database).series()
    assert set(found) == {("stage", "detect"), ("suggestion", "push")}
    assert sum(found[("stage", "detect")].seconds) >= 0.06
    assert dict(found[("suggestion", "push")].cumulative())["15"] == 0
    assert timedelta(seconds=sum(found[("suggestion", "push")].seconds)) < timedelta(seconds=120)
