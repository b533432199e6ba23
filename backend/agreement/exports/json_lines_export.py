"""Export as JSON Lines: an object a line, the same objects as in the array of JSON."""

from collections.abc import Iterator

from backend.agreement.exports.content import ExportContent, json_object


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield a table as JSON Lines."""
    table = content.table()
    for rows in table.batches:
        yield "".join(f"{json_object(table, row)}\n" for row in rows).encode()
