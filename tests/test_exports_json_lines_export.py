import io

import duckdb
import pandas
import polars
import pytest
from exporting import exported
from verdict_data import annotation, detection, event, predict

from backend.agreement.exports.content import VERDICT_COLUMNS


@pytest.fixture
def file(any_database, tmp_path):
    event(any_database, annotation(1, predict(any_database, 1, detection((10, 10), (20, 20)))))
    path = tmp_path / "verdicts.jsonl"
    path.write_bytes(exported(any_database, "jsonl"))
    return path


def test_pandas_polars_and_duckdb_read_the_same_rows(file):
    names = list(VERDICT_COLUMNS)
    assert list(pandas.read_json(file, lines=True).columns) == names
    table = polars.read_ndjson(file)
    assert sorted(table.columns) == sorted(names)  # polars keeps the order of 32 at most
    assert table["verdict"].to_list() == ["accepted"] * 3
    found = duckdb.sql(f"select verdict from read_json('{file}')").fetchall()
    assert found == [("accepted",)] * 3


def test_statistics_are_lines_as_well(any_database):
    lines = pandas.read_json(io.BytesIO(exported(any_database, "jsonl", "statistics")), lines=True)
    assert {"overall", "anchoring", "people"} <= set(lines["dimension"])
