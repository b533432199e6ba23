"""SQL for deliveries: which process delivers a prediction to Label Studio, and when.

These columns of a prediction decide it:

* `to_deliver`: false for a prediction that an annotator only sees while drawing.
* `check_at`: when a worker has to look into Label Studio next; None for never.
* `waiting_until`: until then, a web process waits for the prediction to put it into its reply, and
  workers do not deliver it.
* `busy_until`: when the current lease ends. A process holds a lease while it talks to Label Studio
  about the prediction, and for as long as Label Studio may need to store it. The moment also
  identifies the lease: if the column has changed, the lease is lost.
* `waiting_for`: the service that is away, until which is back the prediction is not due.
* `deliveries`: number of deliveries so far. The process that raises it from n to n + 1 makes
  delivery n + 1, and no other does.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from backend.database.connection import CHUNK, Database, now
from backend.database.schema import WAITS_NO_MORE
from backend.database.text import storable
from backend.labelstudio.schemas import PredictionJson
from backend.outages.records import Cause
from backend.suggestions.queries import count_by, update_prediction
from backend.suggestions.records import DeliveryLease, Way
from backend.suggestions.tables import deliveries, predictions


class DeliverySchedule:
    """The times at which workers deliver predictions or leave them to a web process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve_for_reply(self, ids: Sequence[int], until: datetime) -> None:
        """Keep workers from delivering predictions that a web process will put into its reply.

        A reservation that lasts longer stays.
        """
        shorter = or_(predictions.c.waiting_until.is_(None), predictions.c.waiting_until < until)
        for connection, chunk in self._locked_chunks(ids):
            connection.execute(
                update(predictions)
                .where(predictions.c.id.in_(chunk), shorter)
                .values(waiting_until=until)
            )

    def end_reservation(self, ids: Sequence[int], until: datetime) -> None:
        """End the reservations that were made with this `until`; other ones stay.

        Predictions that are ready and not delivered become due.
        """
        for connection, chunk in self._locked_chunks(ids):
            reserved = (predictions.c.id.in_(chunk), predictions.c.waiting_until == until)
            connection.execute(
                update(predictions)
                .where(*reserved, predictions.c.status == "ready", predictions.c.deliveries == 0)
                .values(check_at=now())
            )
            connection.execute(update(predictions).where(*reserved).values(waiting_until=None))

    def due(self, limit: int, project_uid: str | None = None) -> list[int]:
        """Return predictions for workers to look up in Label Studio, longest due first.

        Args:
            project_uid: None for those of every project.
        """
        query = select(predictions.c.id).where(*_is_due(now()))
        if project_uid is not None:
            query = query.where(predictions.c.project_uid == project_uid)
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(predictions.c.check_at).limit(limit)))

    def projects_due(self) -> list[str]:
        """Return the uids of the projects that have a prediction that is due, sorted."""
        column = predictions.c.project_uid
        with self._database.reading() as connection:
            query = select(column).where(*_is_due(now())).distinct().order_by(column)
            return list(connection.scalars(query))

    def make_due(self, ids: Sequence[int]) -> None:
        """Have a worker look up these in Label Studio now, if they are ready."""
        for connection, chunk in self._locked_chunks(ids):
            connection.execute(
                update(predictions)
                .where(predictions.c.id.in_(chunk), predictions.c.status == "ready")
                .values(check_at=now(), checks=0, waiting_for=None)
            )

    def _locked_chunks(self, ids: Sequence[int]) -> Iterator[tuple[Connection, list[int]]]:
        """Lock the rows chunk by chunk, ordered by id, so that no two writers deadlock."""
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


class DeliveryStorage:
    """Deliveries, and the leases that let one process at a time make them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(
        self, prediction_id: int, seconds: float, *, only_if_due: bool
    ) -> DeliveryLease | None:
        """Acquire the lease of a prediction that is ready; see `acquire_all`.

        Returns:
            None if another process holds the lease.
        """
        found = self.acquire_all([prediction_id], seconds, only_if_due=only_if_due)
        return found.get(prediction_id)

    def acquire_all(
        self, ids: Sequence[int], seconds: float, *, only_if_due: bool
    ) -> dict[int, DeliveryLease]:
        """Acquire the leases of predictions that are ready, in one transaction.

        If the holder dies, a prediction is due again when its lease ends.

        Args:
            seconds: how long a lease lasts unless it ends earlier.
            only_if_due: leave out what is not due, or reserved for a reply.

        Returns:
            Id → lease, without those that another process holds.
        """
        moment = now()
        until = moment + timedelta(seconds=seconds)
        conditions = [
            predictions.c.id.in_(ids),
            predictions.c.status == "ready",
            predictions.c.to_deliver,
            _has_passed(predictions.c.busy_until, moment),
        ]
        if only_if_due:
            not_reserved = _has_passed(predictions.c.waiting_until, moment)
            conditions += [not_reserved, predictions.c.check_at <= moment]
        return self._lease(and_(*conditions), until)

    def _lease(self, condition: ColumnElement[bool], until: datetime) -> dict[int, DeliveryLease]:
        """Lease the predictions that meet a condition until a moment."""
        # Ordered by id, so that no two writers deadlock.
        free = select(predictions.c.id).where(condition).order_by(predictions.c.id)
        with self._database.writing() as connection:
            found = list(connection.scalars(free.with_for_update()))
            if found:
                these = update(predictions).where(predictions.c.id.in_(found))
                connection.execute(these.values(busy_until=until, check_at=until))
        return {prediction_id: DeliveryLease(prediction_id, until) for prediction_id in found}

    def extend_all(
        self, leases: Sequence[DeliveryLease], seconds: float
    ) -> dict[int, DeliveryLease]:
        """Replace leases by ones that last so long from now, in one transaction.

        Call it right before a step that must not be done twice.

        Returns:
            Id → new lease, without those that are lost.
        """
        moment = now()
        until = moment + timedelta(seconds=seconds)
        held = [
            and_(predictions.c.id == each.prediction_id, _is_held(each.expires_at, moment))
            for each in leases
        ]
        return self._lease(or_(*held), until)

    def record_delivery(
        self,
        prediction_id: int,
        way: Way,
        sent: PredictionJson,
        *,
        number: int,
        lease: DeliveryLease | None,
        settles_in: float,
        check_in: float,
    ) -> DeliveryLease | None:
        """Record a delivery before it is made. Only the process that succeeds may make it.

        Args:
            number: one more than the deliveries that the caller knows of.
            lease: None to deliver a prediction without a current lease.
            settles_in: how long the new lease lasts, s.
            check_in: when a worker has to check that the delivery arrived, s from now.

        Returns:
            The new lease, or None if another process was faster.
        """
        moment = now()
        until = moment + timedelta(seconds=settles_in)
        values = {
            "this": prediction_id,
            "before": number - 1,
            "moment": moment,
            "deliveries": number,
            "busy_until": until,
            "check_at": moment + timedelta(seconds=check_in),
        }
        row = {
            "prediction_id": prediction_id,
            "number": number,
            "way": way,
            "sent": sent,
            "made_at": moment,
        }
        with self._database.writing() as connection:
            if lease is None:
                result = connection.execute(_RECORD_WITHOUT_LEASE, values)
            else:
                result = connection.execute(_RECORD, values | {"lease": lease.expires_at})
            if result.rowcount != 1:
                return None
            connection.execute(_INSERT_DELIVERY, row)
        return DeliveryLease(prediction_id, until)

    def confirm(self, lease: DeliveryLease, label_studio_id: int, *, number: int) -> None:
        """Record that a delivery is in Label Studio, under which primary key, and end the lease."""
        self.confirm_all([(lease, label_studio_id, number)])

    def confirm_all(self, arrived: Sequence[tuple[DeliveryLease, int, int]]) -> None:
        """Confirm deliveries in one transaction; see `confirm`.

        Args:
            arrived: lease, primary key in Label Studio and number of each.
        """
        moment = now()
        confirmed, ended = [], []
        for lease, label_studio_id, number in arrived:
            this = {"this": lease.prediction_id, "which": number}
            confirmed.append(this | {"confirmed_at": moment, "label_studio_id": label_studio_id})
            ended.append(this | {"lease": lease.expires_at})
        with self._database.writing() as connection:
            connection.execute(_CONFIRM, confirmed)
            connection.execute(_END_LEASE, ended)

    def release(
        self,
        lease: DeliveryLease,
        cause: Cause,
        *,
        busy_until: datetime | None,
        check_at: datetime | None,
    ) -> None:
        """End a lease whose delivery is not confirmed, unless it is lost.

        Args:
            cause: why it is not confirmed. If a service is away, the prediction is not due until
                that is back.
            busy_until: when the next lease may begin; None for at once.
            check_at: when a worker has to look next; None for never.
        """
        moment = now()
        update_prediction(
            self._database,
            lease.prediction_id,
            predictions.c.busy_until == lease.expires_at,
            reason=storable(cause.reason),
            busy_until=busy_until,
            check_at=check_at,
            checks=predictions.c.checks + int(cause.sent),
            waiting_for=None if check_at is None else cause.away,
            retry_at=moment if cause.sent else predictions.c.retry_at,
            failing_since=func.coalesce(predictions.c.failing_since, moment),
        )

    def deliveries_by_way(self) -> dict[str, int]:
        """Count the deliveries of each way."""
        return count_by(self._database, deliveries.c.way)


def _is_due(moment: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a worker has to look up a prediction in Label Studio."""
    return (
        predictions.c.status == "ready",
        predictions.c.to_deliver.is_(True),
        predictions.c.check_at <= moment,
        predictions.c.waiting_for.is_(None),
        _has_passed(predictions.c.busy_until, moment),
        _has_passed(predictions.c.waiting_until, moment),
    )


def _has_passed(
    column: Column[datetime | None], moment: datetime | BindParameter[datetime]
) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= moment)


def _is_held(
    expires_at: datetime | BindParameter[datetime], moment: datetime | BindParameter[datetime]
) -> ColumnElement[bool]:
    """Return the condition that a lease has neither expired nor been replaced."""
    busy_until = predictions.c.busy_until
    return and_(busy_until == expires_at, busy_until > moment)


# Statements of every delivery are made once: that takes longer than to run them.
_THIS: BindParameter[int] = bindparam("this")
_LEASE: BindParameter[datetime] = bindparam("lease")
_MOMENT: BindParameter[datetime] = bindparam("moment")
_CONFIRM = update(deliveries).where(
    deliveries.c.prediction_id == _THIS, deliveries.c.number == bindparam("which")
)
_END_LEASE = (
    update(predictions)
    .where(
        predictions.c.id == _THIS,
        predictions.c.deliveries == bindparam("which"),
        predictions.c.busy_until == _LEASE,
    )
    .values(busy_until=None, check_at=None, checks=0, reason=None, **WAITS_NO_MORE)
)
_RECORD_IF_LAST = (
    update(predictions)
    .where(
        predictions.c.id == _THIS,
        predictions.c.status == "ready",
        predictions.c.deliveries == bindparam("before"),
    )
    .values(checks=0, reason=None, **WAITS_NO_MORE)
)
_RECORD = _RECORD_IF_LAST.where(_is_held(_LEASE, _MOMENT))
_RECORD_WITHOUT_LEASE = _RECORD_IF_LAST.where(_has_passed(predictions.c.busy_until, _MOMENT))
_INSERT_DELIVERY = deliveries.insert()
