"""SQL that remembers how far a long listing of a project's tasks has come.

A listing of a million tasks that was interrupted goes on from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import JSON, BigInteger, Column, String, Table, and_, delete, select

from backend.database.connection import Database, now
from backend.database.schema import Time, metadata

# After a longer interruption, or a longer listing, tasks that are done may have changed: it begins
# anew.
GOES_ON_WITHIN = timedelta(hours=1)
LONGEST = timedelta(days=1)

listings = Table(
    "listings",
    metadata,
    Column("project_uid", String(100), primary_key=True),
    # What the tasks are listed for, such as "sync".
    Column("purpose", String(250), primary_key=True),
    Column("after_task_id", BigInteger, nullable=False),
    Column("began_at", Time, nullable=False),
    Column("saved_at", Time, nullable=False),
    Column("counts", JSON, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a listing has come.

    Attributes:
        after: id of the last task that is done.
        began_at: when the listing began.
        counts: what was counted until now, for the one who lists.
    """

    after: int = 0
    began_at: datetime = field(default_factory=now)
    counts: Mapping[str, int] = field(default_factory=dict)


class ListingStorage:
    """The table of unfinished listings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def position(self, project_uid: str, purpose: str) -> Position:
        """Return where to go on; the beginning if no listing was interrupted lately."""
        moment = now()
        query = select(listings).where(
            listings.c.project_uid == project_uid,
            listings.c.purpose == purpose,
            listings.c.saved_at > moment - GOES_ON_WITHIN,
            listings.c.began_at > moment - LONGEST,
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return Position() if row is None else Position(row.after_task_id, row.began_at, row.counts)

    def save(self, project_uid: str, purpose: str, position: Position) -> None:
        """Remember how far a listing has come."""
        key = {"project_uid": project_uid, "purpose": purpose}
        values = {
            "after_task_id": position.after,
            "began_at": position.began_at,
            "saved_at": now(),
            "counts": dict(position.counts),
        }
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(listings)
                .values(**key, **values)
                .on_conflict_do_update(index_elements=list(key), set_=values)
            )

    def end(self, project_uid: str, purpose: str) -> None:
        """Forget a listing that is done."""
        this = and_(listings.c.project_uid == project_uid, listings.c.purpose == purpose)
        with self._database.writing() as connection:
            connection.execute(delete(listings).where(this))
