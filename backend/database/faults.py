"""What is wrong with a database that cannot be used, in one sentence, and what to do about it."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.exc import DBAPIError

FaultKind = Literal[
    "corrupt",
    "read-only",
    "not opened",
    "locked",
    "full",
    "refused",
    "missing",
    "unreachable",
    "unknown",
]

_SQLITE_KINDS: dict[int, FaultKind] = {
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CANTOPEN: "not opened",
    sqlite3.SQLITE_PERM: "read-only",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "full",
}
# Errors that PostgreSQL reports: the beginning of their SQLSTATE, or of what libpq says of a
# connection that was never made, which has none.
_POSTGRESQL_STATES: dict[str, FaultKind] = {
    "XX001": "corrupt",
    "XX002": "corrupt",
    "25006": "read-only",
    "42501": "refused",
    "28": "refused",
    "3D000": "missing",
    "55P03": "locked",
    "57014": "locked",
    "53100": "full",
    "08": "unreachable",
    "57P": "unreachable",
    "53300": "unreachable",
}
_POSTGRESQL_WORDS: dict[str, FaultKind] = {
    "authentication failed": "refused",
    "no password supplied": "refused",
    "pg_hba.conf": "refused",
    "does not exist": "missing",
    "connection": "unreachable",
    "failed to resolve": "unreachable",
}

_MEANINGS: dict[FaultKind, str] = {
    "corrupt": (
        "it is damaged, or not a database ({reason}): stop the backend, move it away, and restore "
        "a backup with `python -m backend restore FILE`"
    ),
    "read-only": (
        "it cannot be written ({reason}): give the user that runs the backend write access to it "
        "and, for a file, to its folder, which must not be on a file system mounted read-only"
    ),
    "not opened": (
        "it cannot be opened ({reason}): give a file in a folder that is there, such as a disk "
        "that is mounted, and that the user that runs the backend may write to"
    ),
    "locked": (
        "another program keeps it locked ({reason}): end that program, such as a database "
        "browser with an open transaction, a backup or a migration"
    ),
    "full": "its disk cannot store more ({reason}): free space, or move it to a larger disk",
    "refused": (
        "it refuses user or password, or this user may not use it ({reason}): set DATABASE_URL to "
        "postgresql://USER:PASSWORD@HOST/NAME of its owner"
    ),
    "missing": (
        "the server has no such database or user ({reason}): create it (createdb), or set "
        "DATABASE_URL to another one"
    ),
    "unreachable": (
        "it does not answer ({reason}): start it, or set DATABASE_URL to its address as seen from "
        "here"
    ),
    "unknown": "{reason}",
}


@dataclass(frozen=True, slots=True)
class DatabaseFault:
    """Why a database cannot be used.

    Attributes:
        kind: what is wrong.
        reason: in the words of the database, on one line.
    """

    kind: FaultKind
    reason: str

    @property
    def may_pass(self) -> bool:
        """Whether it may be over soon, without a person who mends it."""
        return self.kind in ("not opened", "locked", "full", "unreachable", "unknown")

    def __str__(self) -> str:
        return _MEANINGS[self.kind].format(reason=self.reason)


def fault_of(error: BaseException) -> DatabaseFault:
    """Tell what an error of a database means."""
    original = (error.orig or error) if isinstance(error, DBAPIError) else error
    reason = _in_one_line(original)
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", None)
        # The low byte of an extended code is the code that it extends.
        kind = _SQLITE_KINDS.get(code & 0xFF, "unknown") if code is not None else "unknown"
        return DatabaseFault(kind, reason)
    if isinstance(original, PermissionError):
        return DatabaseFault("read-only", reason)
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return DatabaseFault(_first(_POSTGRESQL_STATES, state.startswith), reason)
    if isinstance(error, DBAPIError):
        return DatabaseFault(_first(_POSTGRESQL_WORDS, reason.__contains__), reason)
    return DatabaseFault("unknown", reason)


def _first(kinds: dict[str, FaultKind], applies: Callable[[str], bool]) -> FaultKind:
    return next((kind for sign, kind in kinds.items() if applies(sign)), "unknown")


def _in_one_line(error: BaseException) -> str:
    """Return the first line of a message that says anything."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".:")
