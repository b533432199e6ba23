"""Export as Apache Parquet, compressed with zstd."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

from backend.agreement.export_content import ExportContent

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
    }
    schema = pyarrow.schema([(name, types[kind]) for name, kind in table.columns.items()])
    sink = _Sink()
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


class _Sink(io.RawIOBase):
    """A file to write to whose content can be taken out while it grows."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        """Return everything written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
