"""Export as JSON: verdicts as an array of objects, statistics as `GET /agreement` returns them."""

import json
from collections.abc import Iterator

from backend.agreement.exports.content import ExportContent, Table, json_object


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield the content as JSON."""
    if content.kind == "statistics":
        yield json.dumps(content.statistics, ensure_ascii=False, indent=1).encode()
    else:
        yield from _array(content.table())


def _array(table: Table) -> Iterator[bytes]:
    """Yield one array with an object a line."""
    start = b"["
    for rows in table.batches:
        if rows:
            lines = ",\n".join(json_object(table, row) for row in rows)
            yield start + b"\n" + lines.encode()
            start = b","
    yield b"[]\n" if start == b"[" else b"\n]\n"
