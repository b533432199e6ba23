"""Count what a piece of work asks of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from backend.database.connection import Database


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """The statements inside the block, in their order; each transaction begins with a BEGIN."""
    found: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: object) -> None:
        found.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
