"""Export as Apache Parquet, compressed with zstd."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from backend.agreement.exports.content import ExportContent
from backend.agreement.exports.sink import Sink

ROWS_PER_GROUP = 20_000  # at least, except in the last group


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield a table as Parquet, one piece per row group."""
    # Imported here because the web process starts without it.
    import pyarrow
    from pyarrow import parquet

    table = content.table()
    types = {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
        datetime: pyarrow.timestamp("us", tz="UTC"),
    }
    schema = pyarrow.schema([(name, types[kind]) for name, kind in table.columns.items()])
    sink = Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        waiting: list[Any] = []
        for rows in table.batches:
            waiting.append(_record_batch(rows, schema))
            if sum(len(batch) for batch in waiting) >= ROWS_PER_GROUP:
                writer.write_table(pyarrow.Table.from_batches(waiting, schema))
                waiting = []
                yield sink.take()
        if waiting:
            writer.write_table(pyarrow.Table.from_batches(waiting, schema))
    yield sink.take()


def _record_batch(rows: Sequence[Sequence[Any]], schema: Any) -> Any:
    """Return rows as a pyarrow RecordBatch."""
    import pyarrow

    values = zip(*rows, strict=True) if rows else [() for _ in schema]
    return pyarrow.record_batch(
        [pyarrow.array(each, field.type) for each, field in zip(values, schema, strict=True)],
        schema,
    )
