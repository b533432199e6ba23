"""Export as CSV (RFC 4180, with a header line)."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from backend.agreement.exports.content import ExportContent, iso_time

# Spreadsheets recognise UTF-8 by the byte order mark.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A spreadsheet interprets text that starts with one of these as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield a table as CSV.

    With the option `excel`, text that could be a formula gets an apostrophe in front. Without it
    every text is as the log has it.
    """
    table = content.table()
    cell = _spreadsheet_cell if content.options.excel else _cell
    yield BYTE_ORDER_MARK + _lines([list(table.columns)])
    for rows in table.batches:
        yield _lines([[cell(value) for value in row] for row in rows])


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return iso_time(value) if isinstance(value, datetime) else value


def _spreadsheet_cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return _cell(value)
