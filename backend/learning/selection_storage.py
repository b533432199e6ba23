"""SQL that chooses which examples are looked at, before any image is fetched.

An import may bring thousands of annotations, and features are kept of `limit` examples alone. So no
more are extracted: the newest, and those whose layouts differ most. The others are in `reserve`.
"""

from collections.abc import Collection

from sqlalchemy import Connection, func, select, update

from backend.database.connection import now
from backend.learning.diversity import most_diverse
from backend.learning.queries import EXAMPLE_COLUMNS, example_from_row, waiting_values
from backend.learning.records import Example, Status
from backend.learning.tables import examples

# Examples that are compared with each other, newest first, as a multiple of those that are kept.
CANDIDATES = 10
# Where as many are learnt as are kept, so many newer ones are still looked at each time: people go
# on annotating, and their next step takes the best of all.
FRESH = 3


def has_room(connection: Connection, project_uid: str, limit: int) -> bool:
    """Return whether a further example can be looked at without a choice."""
    query = (
        select(func.count())
        .select_from(examples)
        .where(examples.c.project_uid == project_uid, examples.c.status.in_(("waiting", "ready")))
    )
    return (connection.scalar(query) or 0) < limit


def select_examples(connection: Connection, project_uid: str, *, limit: int) -> None:
    """Let those examples wait for workers that tell most, and put the others into reserve.

    Examples that have features keep them.

    Args:
        connection: of a transaction that has locked the project.
    """
    waiting, reserve = (
        _newest(connection, project_uid, status, CANDIDATES * limit)
        for status in ("waiting", "reserve")
    )
    ready = _newest(connection, project_uid, "ready", CANDIDATES * limit)
    if not reserve and len(waiting) + len(ready) <= limit:
        return
    open_ones = sorted([*waiting, *reserve], key=lambda each: each.id)
    chosen = {each.id for each in _chosen(ready, open_ones, limit)}
    kept = {each.id for each in waiting} & chosen
    _set(connection, chosen - kept, "waiting")
    _rest_to_reserve(connection, project_uid, kept | chosen)


def _chosen(ready: list[Example], open_ones: list[Example], limit: int) -> list[Example]:
    """Return which of the open examples to look at, given those that are ready."""
    room = limit - len(ready)
    if room > 0:
        return most_diverse(open_ones, room, beside=ready)
    newest = max(each.id for each in ready)
    return [each for each in open_ones if each.id > newest][-FRESH:]


def _newest(connection: Connection, project_uid: str, status: Status, count: int) -> list[Example]:
    rows = connection.execute(
        select(*EXAMPLE_COLUMNS)
        .where(examples.c.project_uid == project_uid, examples.c.status == status)
        .order_by(examples.c.id.desc())
        .limit(count)
    )
    return [example_from_row(row) for row in rows]


def _set(connection: Connection, ids: Collection[int], status: Status) -> None:
    if ids:
        connection.execute(
            update(examples)
            .where(examples.c.id.in_(ids))
            .values(waiting_values() | {"status": status, "changed_at": now()})
        )


def _rest_to_reserve(connection: Connection, project_uid: str, chosen: Collection[int]) -> None:
    connection.execute(
        update(examples)
        .where(
            examples.c.project_uid == project_uid,
            examples.c.status == "waiting",
            examples.c.id.not_in(chosen),
        )
        .values(status="reserve", changed_at=now())
    )
