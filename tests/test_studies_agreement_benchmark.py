"""The benchmark of the report, with a log of a few annotations."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from backend.agreement.exports.formats import FORMATS
from backend.agreement.figures import measure_agreement
from backend.agreement.loading.queries import load_table
from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database
from backend.verdicts.records import Filters
from studies.__main__ import main
from studies.agreement_benchmark import SECTION, measure_database, request_in_process
from studies.agreement_world import LABELS, POINTS, fill
from studies.marked_section import put_into


@pytest.fixture
def filled(any_database: Database) -> Database:
    assert fill(any_database, 1200) == 60
    return any_database


def test_the_log_holds_every_kind_of_thing_that_the_report_counts(filled):
    table = load_table(filled, Filters())
    assert 1100 <= len(table.columns.verdict) <= 60 * POINTS
    assert table.unused[0].reason.startswith("a rectangle")
    assert set(table.columns.labels) == set(LABELS)
    assert 0 < len(table.withheld.annotations) < len(table.shown.annotations)
    assert len(table.compared_tasks) and len(table.detections)
    assert np.isfinite(table.columns.length).any() and np.isnan(table.columns.length).any()
    counts = measure_agreement(filled, Filters()).overall.figures.agreement.points.by_verdict
    assert min(counts.values()) > 0 and counts["accepted"] > counts["moved"]


def test_what_is_packed_are_the_rows_of_the_log(filled):
    columns = load_table(filled, Filters()).columns
    rows = [row for rows in AgreementQueries(filled).verdict_rows(Filters()) for row in rows]
    place = {each.annotation_id: place for place, each in enumerate(columns.annotations)}
    points = [row for row in rows if row.kind == "point"]
    points.sort(key=lambda row: place[row.annotation_id])
    assert [place[row.annotation_id] for row in points] == columns.annotation.tolist()
    for name in ("final_x", "suggested_y", "displacement", "area"):
        expected = [np.nan if getattr(row, name) is None else getattr(row, name) for row in points]
        np.testing.assert_array_equal(getattr(columns, name), expected)


def test_every_request_is_measured_in_a_process_of_its_own(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'some.sqlite3'}"
    database = Database(url)
    database.migrate()
    fill(database, 200)
    database.close()
    rows = list(measure_database(url, rounds=1))
    assert [row.what for row in rows[:2]] == ["figures as JSON", "page"]
    assert {f"export {name}" for name in FORMATS} <= {row.what for row in rows}
    for row in rows:
        assert row.seconds > 0 and row.answer_mb > 0
        assert 20 < row.peak_mb < 2000, asdict(row)
    with pytest.raises(ChildProcessError, match="status 400"):
        request_in_process(url, "/agreement?label=", 0)


def test_the_command_writes_its_section_and_leaves_the_others(tmp_path: Path, capsys):
    page, file = tmp_path / "page.md", tmp_path / "log.sqlite3"
    others = "<!-- measured with random weights -->\nkept\n"
    others += "<!-- end of what was measured with random weights -->\n"
    marks = f"<!-- measured {SECTION} -->\nold\n<!-- end of what was measured {SECTION} -->\n"
    page.write_text(others + marks)
    arguments = ["--verdicts", "200", "--rounds", "1", "--database", str(file)]
    assert main(["agreement-benchmark", *arguments, "--report", str(page)]) == 0
    printed, written = capsys.readouterr().out, page.read_text()
    assert written.startswith(others) and "old" not in written
    assert printed.strip() in written and "| SQLite | page |" in written
    put_into(page, "new", "with random weights")
    assert page.read_text() == written.replace("kept", "new")


def test_a_file_without_the_marks_is_refused_at_once(tmp_path: Path, capsys):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    assert main(["agreement-benchmark", "--report", str(page)]) == 2
    assert page.read_text() == "nothing"
    assert "to write between them" in capsys.readouterr().err
