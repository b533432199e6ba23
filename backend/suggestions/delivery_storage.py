"""SQL about who gives a prediction to Label Studio, and when."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, or_, select, update

from backend.database.connection import CHUNK, Database, now
from backend.database.text import storable
from backend.suggestions.records import Way
from backend.suggestions.storage import count_by
from backend.suggestions.tables import deliveries, predictions


class DeliveryStorage:
    """Who gives a prediction to Label Studio.

    Decided by these columns of a prediction:

    * `to_deliver`: false for what an annotator only looks at while drawing.
    * `waiting_until`: a web process waits for it and will put it into its reply; a worker leaves it
      alone until then.
    * `busy_until`: somebody talks to Label Studio about it, or Label Studio is just storing it;
      nobody else does until then. Its value is the holder's token: where it has changed, the
      holder came too late.
    * `deliveries`: how often it was given to Label Studio. Whoever raises it from n to n + 1
      delivers, and no one else.
    * `check_at`: when a worker must look at Label Studio next; None for never.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait_for(self, ids: Sequence[int], until: datetime) -> None:
        """Tell the workers to leave these to a web process that waits for them until then."""
        shorter = or_(predictions.c.waiting_until.is_(None), predictions.c.waiting_until < until)
        for connection, chunk in self._locked_chunks(ids):
            connection.execute(
                update(predictions)
                .where(predictions.c.id.in_(chunk), shorter)
                .values(waiting_until=until)
            )

    def stop_waiting(self, ids: Sequence[int], until: datetime) -> None:
        """Take back `wait_for` of the same moment; another's longer wait goes on."""
        for connection, chunk in self._locked_chunks(ids):
            mine = (predictions.c.id.in_(chunk), predictions.c.waiting_until == until)
            connection.execute(
                update(predictions)
                .where(*mine, predictions.c.status == "ready", predictions.c.deliveries == 0)
                .values(check_at=now())
            )
            connection.execute(update(predictions).where(*mine).values(waiting_until=None))

    def _locked_chunks(self, ids: Sequence[int]) -> Iterator[tuple[Connection, list[int]]]:
        """Chunks of the rows, each locked in the order of ids, so that no two writers deadlock."""
        for start in range(0, len(ids), CHUNK):
            chunk = sorted(ids)[start : start + CHUNK]
            with self._database.writing() as connection:
                connection.execute(
                    select(predictions.c.id)
                    .where(predictions.c.id.in_(chunk))
                    .order_by(predictions.c.id)
                    .with_for_update()
                )
                yield connection, chunk

    def due(self, limit: int) -> list[int]:
        """Predictions about which a worker must now look at Label Studio, longest due first."""
        moment = now()
        with self._database.reading() as connection:
            rows = connection.scalars(
                select(predictions.c.id)
                .where(
                    predictions.c.status == "ready",
                    predictions.c.to_deliver,
                    predictions.c.check_at <= moment,
                    past(predictions.c.busy_until, moment),
                    past(predictions.c.waiting_until, moment),
                )
                .order_by(predictions.c.check_at)
                .limit(limit)
            )
            return list(rows)

    def hold(self, prediction_id: int, seconds: float, *, only_if_due: bool) -> datetime | None:
        """Become the one that talks to Label Studio about a prediction that is ready.

        Args:
            seconds: for how long at most.
            only_if_due: it is time to look, and no web process waits for it.

        Returns:
            A token, the moment at which the hold ends; None where somebody else holds it.
        """
        moment = now()
        until = moment + timedelta(seconds=seconds)
        conditions = [
            predictions.c.status == "ready",
            predictions.c.to_deliver,
            past(predictions.c.busy_until, moment),
        ]
        if only_if_due:
            waiting = past(predictions.c.waiting_until, moment)
            conditions += [waiting, predictions.c.check_at <= moment]
        # Whoever stops in the middle leaves a prediction that has to be looked at again.
        held = self._change(prediction_id, *conditions, busy_until=until, check_at=until)
        return until if held else None

    def hold_on(self, prediction_id: int, token: datetime, seconds: float) -> datetime | None:
        """Prolong a hold before something that must not be done twice.

        Returns:
            The new token; None where the hold was lost.
        """
        moment = now()
        until = moment + timedelta(seconds=seconds)
        busy = predictions.c.busy_until
        still = (busy == token, busy > moment)
        held = self._change(prediction_id, *still, busy_until=until, check_at=until)
        return until if held else None

    def deliver(
        self,
        prediction_id: int,
        way: Way,
        sent: dict[str, Any],
        *,
        number: int,
        token: datetime | None,
        settles_in: float,
        check_in: float,
    ) -> datetime | None:
        """Record a delivery, before it is made; whoever succeeds makes it, and no one else.

        Args:
            number: one more than the deliveries that the caller knows of.
            token: of `hold`; None to deliver what nobody holds.
            settles_in: s for which nobody else is to talk to Label Studio about it.
            check_in: s until a worker looks whether it arrived.

        Returns:
            The new token; None where somebody else came first.
        """
        moment = now()
        until = moment + timedelta(seconds=settles_in)
        busy = predictions.c.busy_until
        free = past(busy, moment) if token is None else and_(busy == token, busy > moment)
        with self._database.writing() as connection:
            won = connection.execute(
                update(predictions)
                .where(
                    predictions.c.id == prediction_id,
                    predictions.c.status == "ready",
                    predictions.c.deliveries == number - 1,
                    free,
                )
                .values(
                    deliveries=number,
                    busy_until=until,
                    check_at=moment + timedelta(seconds=check_in),
                    checks=0,
                    reason=None,
                )
            )
            if won.rowcount != 1:
                return None
            connection.execute(
                deliveries.insert().values(
                    prediction_id=prediction_id, number=number, way=way, sent=sent, made_at=moment
                )
            )
        return until

    def confirm(
        self, prediction_id: int, label_studio_id: int, *, number: int, token: datetime
    ) -> None:
        """Note that Label Studio holds it, under which primary key, and let it go."""
        moment = now()
        with self._database.writing() as connection:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.prediction_id == prediction_id, deliveries.c.number == number)
                .values(confirmed_at=moment, label_studio_id=label_studio_id)
            )
            connection.execute(
                update(predictions)
                .where(
                    predictions.c.id == prediction_id,
                    predictions.c.deliveries == number,
                    predictions.c.busy_until == token,
                )
                .values(busy_until=None, check_at=None, checks=0, reason=None)
            )

    def let_go(
        self,
        prediction_id: int,
        token: datetime,
        *,
        reason: str,
        busy_until: datetime | None,
        check_at: datetime | None,
    ) -> None:
        """End a hold without an outcome; say why, until when nobody may go, when to look again."""
        self._change(
            prediction_id,
            predictions.c.busy_until == token,
            reason=storable(reason),
            busy_until=busy_until,
            check_at=check_at,
            checks=predictions.c.checks + 1,
        )

    def check_now(self, ids: Sequence[int]) -> None:
        """Have a worker look as soon as may be whether Label Studio holds these."""
        for connection, chunk in self._locked_chunks(ids):
            connection.execute(
                update(predictions)
                .where(predictions.c.id.in_(chunk), predictions.c.status == "ready")
                .values(check_at=now(), checks=0)
            )

    def deliveries_by_way(self) -> dict[str, int]:
        """How many deliveries there were of each way."""
        return count_by(self._database, deliveries.c.way)

    def _change(
        self, prediction_id: int, *conditions: ColumnElement[bool], **values: object
    ) -> bool:
        """Change one row where the conditions hold; whether it did."""
        with self._database.writing() as connection:
            result = connection.execute(
                update(predictions)
                .where(predictions.c.id == prediction_id, *conditions)
                .values(**values)
            )
        return result.rowcount == 1


def past(column: Column[datetime | None], moment: datetime) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= moment)
