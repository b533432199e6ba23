import duckdb
import polars
import pyarrow
import pytest
from exporting import exported
from pyarrow import parquet
from verdict_data import annotation, detection, event, predict


@pytest.fixture
def file(any_database, tmp_path):
    event(any_database, annotation(1, predict(any_database, 1, detection((10, 10)))))
    path = tmp_path / "verdicts.parquet"
    path.write_bytes(exported(any_database, "parquet"))
    return path


def test_times_are_timestamps_in_utc(file):
    schema = parquet.read_schema(file)
    for name in ("made_at", "updated_at"):
        assert schema.field(name).type == pyarrow.timestamp("us", tz="UTC")
    table = polars.read_parquet(file)
    assert table.schema["made_at"] == polars.Datetime("us", "UTC")


def test_duckdb_counts_annotations_by_day(file):
    asked = f"select date_trunc('day', updated_at), count(*) from '{file}' group by all"
    [(_, count)] = duckdb.sql(asked).fetchall()
    assert count == 2
    [(kind,)] = duckdb.sql(f"select typeof(updated_at) from '{file}' limit 1").fetchall()
    assert kind == "TIMESTAMP WITH TIME ZONE"
