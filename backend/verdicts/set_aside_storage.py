"""SQL of the events that could not be handled, so that those behind them are."""

from sqlalchemy import func, select

from backend.database.connection import CHUNK, Database, now
from backend.database.text import storable
from backend.verdicts.program_version import program_version
from backend.verdicts.records import SetAside
from backend.verdicts.tables import events, set_aside_events


class SetAsideStorage:
    """Events that were set aside; a newer version of the program tries each of them again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set_aside(self, event_id: int, reason: str) -> None:
        """Keep an event from being tried again by this version of the program."""
        values = {
            "reason": storable(reason),
            "program_version": program_version(),
            "set_aside_at": now(),
        }
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(set_aside_events)
                .values(event_id=event_id, **values)
                .on_conflict_do_update(index_elements=["event_id"], set_=values)
            )

    def events(self, limit: int = CHUNK) -> list[SetAside]:
        """Return the events that were set aside, newest first."""
        query = (
            select(
                set_aside_events.c.event_id,
                events.c.action,
                events.c.project_id,
                events.c.received_at,
                set_aside_events.c.reason,
            )
            .join(events, events.c.id == set_aside_events.c.event_id)
            .order_by(set_aside_events.c.event_id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [SetAside(**row._mapping) for row in connection.execute(query)]

    def count(self) -> int:
        """Count the events that were set aside."""
        with self._database.reading() as connection:
            count = connection.scalar(select(func.count()).select_from(set_aside_events))
        return count or 0
