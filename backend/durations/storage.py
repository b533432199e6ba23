"""SQL of durations: every process adds its counts, so the sums hold for all of them."""

from collections.abc import Mapping

from sqlalchemy import select

from backend.database.connection import Database
from backend.durations.records import BOUND_NAMES, Series
from backend.durations.tables import durations

# (what is measured, label)
SeriesKey = tuple[str, str]


class DurationStorage:
    """The table of durations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counted: Mapping[SeriesKey, Series]) -> None:
        """Add counts to those in the table, in one transaction."""
        rows = [
            {
                "measured": measured,
                "label": label,
                "bound": bound,
                "count": count,
                "seconds": seconds,
            }
            for (measured, label), series in sorted(counted.items())
            for bound, count, seconds in zip(
                BOUND_NAMES, series.counts, series.seconds, strict=True
            )
            if count
        ]
        if not rows:
            return
        insert = self._database.insert(durations)
        added = insert.on_conflict_do_update(
            index_elements=list(durations.primary_key),
            set_={
                "count": durations.c.count + insert.excluded.count,
                "seconds": durations.c.seconds + insert.excluded.seconds,
            },
        )
        with self._database.writing() as connection:
            connection.execute(added, rows)

    def series(self) -> dict[SeriesKey, Series]:
        """Return everything that was ever counted; buckets of other bounds are left out."""
        place = {name: number for number, name in enumerate(BOUND_NAMES)}
        found: dict[SeriesKey, Series] = {}
        with self._database.reading() as connection:
            for measured, label, bound, count, seconds in connection.execute(select(durations)):
                if bound in place:
                    series = found.setdefault((measured, label), Series())
                    series.counts[place[bound]] += count
                    series.seconds[place[bound]] += seconds
        return found
