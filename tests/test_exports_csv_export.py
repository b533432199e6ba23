import csv
import io
from datetime import UTC, datetime

import duckdb
import pandas
import polars
import pytest
from exporting import exported
from verdict_data import annotation, detection, event, predict, relabelled

from backend.agreement.exports.content import VERDICT_COLUMNS, ExportOptions
from backend.database.connection import Database

EXCEL = ExportOptions(excel=True)


@pytest.fixture
def formula(any_database: Database) -> Database:
    """A log with a label that a spreadsheet takes for a formula."""
    regions = predict(any_database, 1, detection((10, 10)))
    event(any_database, annotation(1, [relabelled(regions[0], "=1+1"), *regions[1:]]))
    return any_database


def labels(content: bytes) -> list[str]:
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    return [row["final_label"] for row in rows if row["kind"] == "point"]


def test_a_label_is_exported_as_it_is(formula):
    assert labels(exported(formula, "csv")) == ["=1+1"]


def test_a_label_is_no_formula_for_a_spreadsheet_that_asks(formula):
    assert labels(exported(formula, "csv", options=EXCEL)) == ["'=1+1"]


@pytest.fixture
def file(formula, tmp_path):
    path = tmp_path / "verdicts.csv"
    path.write_bytes(exported(formula, "csv"))
    return path


def test_pandas_reads_it(file):
    table = pandas.read_csv(file, parse_dates=["made_at", "updated_at"])
    assert list(table.columns) == list(VERDICT_COLUMNS)
    assert str(table["updated_at"].dtype) == "datetime64[us, UTC]"
    assert table["shown"].dtype == bool
    assert table["final_label"].tolist()[-1] == "=1+1"


def test_polars_reads_it(file):
    table = polars.read_csv(file, try_parse_dates=True)
    assert table.columns == list(VERDICT_COLUMNS)
    assert isinstance(table["updated_at"][0], datetime)
    assert table["shown"].dtype == polars.Boolean


def test_duckdb_reads_it(file):
    columns = dict(
        duckdb.sql(f"select column_name, column_type from (describe from '{file}')").fetchall()
    )
    assert list(columns) == list(VERDICT_COLUMNS)
    assert columns["updated_at"] == "TIMESTAMP WITH TIME ZONE"
    assert columns["shown"] == "BOOLEAN"


def test_times_have_one_format_whatever_their_fraction(any_database):
    whole = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    for task, moment in ((1, whole), (2, whole.replace(microsecond=50))):
        regions = predict(any_database, task, detection((10, 10)))
        body = annotation(task, regions, created_at=moment.isoformat())
        event(any_database, body | {"updated_at": moment.isoformat()})
    rows = csv.DictReader(io.StringIO(exported(any_database, "csv").decode("utf-8-sig")))
    assert {row["updated_at"] for row in rows} == {
        "2030-01-02T03:04:05.000000+00:00",
        "2030-01-02T03:04:05.000050+00:00",
    }
