"""Every SQL statement: projects, predictions with their deliveries, and raw events.

Every change of state is one transaction, and a condition inside its `UPDATE` decides between those
who want the same thing at the same moment, so that any number of web processes and workers may be
stopped at any time.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    func,
    or_,
    select,
    update,
)

from backend.database import Database, StorageError
from backend.records import (
    Delivery,
    Event,
    Prediction,
    Project,
    Wanted,
    Way,
    detection_from_json,
    detection_to_json,
)
from backend.tables import deliveries, events, predictions, projects
from model.keypoint import Detection

__all__ = ["Prediction", "Project", "Storage", "StorageError", "Wanted", "now"]

# Rows a statement: SQLite takes 32 766 parameters, PostgreSQL 65 535.
CHUNK = 500
LONGEST_REASON = 2000
DELIVERED = fields(Delivery)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Storage:
    """The database.

    A prediction is `queued` until a worker has found it (`ready`) or given up (`failed`). Who
    gives it to Label Studio is decided by these columns:

    * `to_deliver`: false for what an annotator only looks at while drawing.
    * `waiting_until`: a web process waits for it and will put it into its reply; a worker leaves it
      alone until then.
    * `busy_until`: somebody talks to Label Studio about it, or Label Studio is just storing it;
      nobody else does until then. Its value is the holder's token: where it has changed, the
      holder came too late.
    * `deliveries`: how often it was given to Label Studio. Whoever raises it from n to n + 1
      delivers, and no one else.
    * `check_at`: when a worker must look at Label Studio next; None for never.

    Args:
        database: a URL, `sqlite:///path` or `postgresql://user:password@host/name`.

    Raises:
        StorageError: another kind of database.
    """

    def __init__(self, database: str) -> None:
        self._database = Database(database)

    @property
    def database(self) -> Database:
        """The same database, for the other storage modules."""
        return self._database

    def migrate(self) -> None:
        """Bring the tables to the newest version; harmless when they are, or when many do it.

        Raises:
            StorageError: the database is of a newer version of this program.
        """
        self._database.migrate()

    def close(self) -> None:
        """Close every connection; the storage opens new ones where it is used again."""
        self._database.engine.dispose()

    # Projects

    def save_connection(
        self, uid: str, *, hostname: str | None, access_token: str | None, label_config: str | None
    ) -> None:
        """Keep what `/setup` says of a project: host and token together, never one alone."""
        known = self.project(uid)
        new = Project(uid, hostname, access_token, label_config)
        if known != new:
            self._save_project(asdict(new))

    def save_label_config(self, uid: str, label_config: str) -> None:
        """Keep what `/predict` says of a project."""
        known = self.project(uid)
        if known is None or known.label_config != label_config:
            self._save_project({"uid": uid, "label_config": label_config})

    def project(self, uid: str) -> Project | None:
        """A project, or None where nothing is known of it."""
        columns = (projects.c.uid, projects.c.hostname, projects.c.access_token)
        with self._database.reading() as connection:
            row = connection.execute(
                select(*columns, projects.c.label_config).where(projects.c.uid == uid)
            ).one_or_none()
        return None if row is None else Project(*row)

    def _save_project(self, values: dict[str, Any]) -> None:
        values = {**values, "changed_at": now()}
        changes = {name: value for name, value in values.items() if name != "uid"}
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(projects)
                .values(values)
                .on_conflict_do_update(index_elements=["uid"], set_=changes)
            )

    # Predictions: what is asked for

    def request(
        self,
        project_uid: str,
        model_version: str,
        wanted: Sequence[Wanted],
        *,
        retry_failed_before: datetime,
        to_deliver: bool = True,
    ) -> list[Prediction]:
        """Make a row for each that has none, and queue again those that failed before a moment.

        Args:
            project_uid: of a project that is known already.
            to_deliver: Label Studio is to have them; once wanted, always wanted.

        Returns:
            The rows, in the order of `wanted`; the same one twice where it is wanted twice.
        """
        found: dict[tuple[int, str], Prediction] = {}
        # In one order everywhere, so that two requests never wait for each other's rows.
        ordered = sorted(wanted, key=lambda one: (one.task_id, one.input_sha256))
        for start in range(0, len(ordered), CHUNK):
            chunk = ordered[start : start + CHUNK]
            with self._database.writing() as connection:
                ids = self._rows_for(connection, project_uid, model_version, chunk)
                _touch(connection, ids.values(), to_deliver)
                possible = [
                    ids[one.task_id, one.input_sha256] for one in chunk if one.refusal is None
                ]
                _queue_failed(connection, possible, retry_failed_before)
                asked = _select_predictions().where(predictions.c.id.in_(ids.values()))
                for row in connection.execute(asked):
                    found[row.task_id, row.input_sha256] = _prediction(row)
        return [found[one.task_id, one.input_sha256] for one in wanted]

    def _rows_for(
        self, connection: Connection, project_uid: str, model_version: str, chunk: list[Wanted]
    ) -> dict[tuple[int, str], int]:
        """Ids of the rows by task and input, locked; made where they are missing."""
        moment = now()
        fresh = {
            "project_uid": project_uid,
            "model_version": model_version,
            "round": 1,
            "attempts": 0,
            "failures": 0,
            "to_deliver": False,
            "deliveries": 0,
            "checks": 0,
            "created_at": moment,
            "asked_at": moment,
        }
        values = [
            {
                **fresh,
                "task_id": one.task_id,
                "image_url": one.image_url,
                "input_sha256": one.input_sha256,
                "task": one.task,
                "status": "failed" if one.refusal else "queued",
                "reason": one.refusal,
                "finished_at": moment if one.refusal else None,
            }
            for one in chunk
        ]
        connection.execute(self._database.insert(predictions).on_conflict_do_nothing(), values)
        keys = {(one.task_id, one.input_sha256) for one in chunk}
        rows = connection.execute(
            select(predictions.c.id, predictions.c.task_id, predictions.c.input_sha256)
            .where(
                predictions.c.project_uid == project_uid,
                predictions.c.model_version == model_version,
                predictions.c.task_id.in_([one.task_id for one in chunk]),
            )
            .order_by(predictions.c.id)
            .with_for_update()
        )
        found = {(row.task_id, row.input_sha256): row.id for row in rows}
        return {key: found[key] for key in keys}

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

    def prediction(self, prediction_id: int) -> Prediction | None:
        """A row, or None where there is none."""
        found = self.predictions([prediction_id])
        return found[0] if found else None

    def predictions(self, ids: Sequence[int]) -> list[Prediction]:
        """The rows that there are, in the order of their ids."""
        found: list[Prediction] = []
        with self._database.reading() as connection:
            for start in range(0, len(ids), CHUNK):
                chunk = sorted(ids)[start : start + CHUNK]
                asked = _select_predictions().where(predictions.c.id.in_(chunk))
                rows = connection.execute(asked.order_by(predictions.c.id))
                found.extend(_prediction(row) for row in rows)
        return found

    def of_task(self, task_id: int, project_uid: str | None = None) -> list[Prediction]:
        """Every prediction of a task, of one project or of all; the last one asked for first.

        What an annotator only looked at while drawing comes after all others.
        """
        asked = _select_predictions().where(predictions.c.task_id == task_id)
        if project_uid is not None:
            asked = asked.where(predictions.c.project_uid == project_uid)
        newest = (
            predictions.c.to_deliver.desc(),
            predictions.c.asked_at.desc(),
            predictions.c.id.desc(),
        )
        with self._database.reading() as connection:
            return [_prediction(row) for row in connection.execute(asked.order_by(*newest))]

    def finished(self, ids: Sequence[int]) -> set[int]:
        """Which of these are queued no more."""
        found: set[int] = set()
        with self._database.reading() as connection:
            for start in range(0, len(ids), CHUNK):
                rows = connection.scalars(
                    select(predictions.c.id).where(
                        predictions.c.id.in_(ids[start : start + CHUNK]),
                        predictions.c.status != "queued",
                    )
                )
                found.update(rows)
        return found

    # Predictions: the work

    def queued(self, after: int, limit: int) -> list[tuple[int, int]]:
        """(id, round) of rows that wait for a worker, in the order of ids, from behind `after`."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(predictions.c.id, predictions.c.round)
                .where(predictions.c.status == "queued", predictions.c.id > after)
                .order_by(predictions.c.id)
                .limit(limit)
            )
            return [(row.id, row.round) for row in rows]

    def begin(self, prediction_id: int) -> Prediction | None:
        """Count that a worker starts on it; None where there is no such row."""
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            attempts=predictions.c.attempts + 1,
            started_at=now(),
        )
        return self.prediction(prediction_id)

    def take_back(self, prediction_id: int) -> None:
        """Uncount a start that came to no end through no fault of the task."""
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            attempts=predictions.c.attempts - 1,
            started_at=None,
        )

    def next_round(self, prediction_id: int, after: int) -> bool:
        """Go on from round `after`, whose job was lost; False where somebody else has."""
        return self._change(
            prediction_id,
            predictions.c.status == "queued",
            predictions.c.round == after,
            round=after + 1,
        )

    def finish(self, prediction_id: int, detection: Detection) -> None:
        """Keep what was found; where something was found before, that stays."""
        moment = now()
        waited_for = predictions.c.waiting_until
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            status="ready",
            reason=None,
            detection=detection_to_json(detection),
            finished_at=moment,
            check_at=case((waited_for > moment, waited_for), else_=moment),
        )

    def fail(self, prediction_id: int, reason: str) -> None:
        """Give up, for a reason; where something was found meanwhile, that stays."""
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            status="failed",
            reason=_storable(reason),
            finished_at=now(),
        )

    def try_again(self, prediction_id: int, reason: str, *, limit: int) -> bool:
        """Count a failure that may pass; with more than `limit` of them, give up.

        Returns:
            Whether to try again.
        """
        self._change(
            prediction_id,
            predictions.c.status == "queued",
            failures=predictions.c.failures + 1,
            reason=_storable(reason),
        )
        given_up = self._change(
            prediction_id,
            predictions.c.status == "queued",
            predictions.c.failures > limit,
            status="failed",
            finished_at=now(),
        )
        return not given_up

    # Predictions: the delivery

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
                    _past(predictions.c.busy_until, moment),
                    _past(predictions.c.waiting_until, moment),
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
            _past(predictions.c.busy_until, moment),
        ]
        if only_if_due:
            waiting = _past(predictions.c.waiting_until, moment)
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
        free = _past(busy, moment) if token is None else and_(busy == token, busy > moment)
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
            reason=_storable(reason),
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

    # Events

    def save_event(self, action: str, project_id: int | None, body: dict[str, Any]) -> int:
        """Keep what Label Studio's webhook sent, as it came; returns its id."""
        with self._database.writing() as connection:
            result = connection.execute(
                events.insert().values(
                    received_at=now(), action=action, project_id=project_id, body=body
                )
            )
        assert result.inserted_primary_key is not None
        event_id: int = result.inserted_primary_key[0]
        return event_id

    def events(self, after: int = 0, limit: int = CHUNK) -> list[Event]:
        """Events in the order in which they came, from behind the id `after`."""
        asked = select(events).where(events.c.id > after).order_by(events.c.id).limit(limit)
        with self._database.reading() as connection:
            return [Event(**row._mapping) for row in connection.execute(asked)]

    # Counts

    def predictions_by_status(self) -> dict[str, int]:
        """How many predictions there are of each status."""
        return self._count(predictions.c.status)

    def deliveries_by_way(self) -> dict[str, int]:
        """How many deliveries there were of each way."""
        return self._count(deliveries.c.way)

    def events_by_action(self) -> dict[str, int]:
        """How many events came of each action."""
        return self._count(events.c.action)

    def _count(self, column: Column[Any]) -> dict[str, int]:
        with self._database.reading() as connection:
            rows = connection.execute(select(column, func.count()).group_by(column))
            return {row[0]: row[1] for row in rows}

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


def _storable(reason: str) -> str:
    """A reason may quote what came from outside, and hold what PostgreSQL does not take."""
    return reason.replace("\0", " ").encode(errors="replace").decode()[:LONGEST_REASON]


def _past(column: Column[datetime | None], moment: datetime) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= moment)


def _touch(connection: Connection, ids: Collection[int], to_deliver: bool) -> None:
    """Note that these were asked for, and whether Label Studio is to have them."""
    moment = now()
    mine = predictions.c.id.in_(ids)
    connection.execute(update(predictions).where(mine).values(asked_at=moment))
    if to_deliver:
        connection.execute(
            update(predictions)
            .where(mine, predictions.c.to_deliver.is_(False))
            .values(to_deliver=True, check_at=moment)
        )


def _queue_failed(connection: Connection, ids: Collection[int], before: datetime) -> None:
    connection.execute(
        update(predictions)
        .where(
            predictions.c.id.in_(ids),
            predictions.c.status == "failed",
            predictions.c.finished_at < before,
        )
        .values(
            status="queued",
            reason=None,
            finished_at=None,
            round=predictions.c.round + 1,
            attempts=0,
            failures=0,
        )
    )


def _select_predictions() -> Select[Any]:
    """Rows of predictions, each with its latest delivery."""
    latest = and_(
        deliveries.c.prediction_id == predictions.c.id,
        deliveries.c.number == predictions.c.deliveries,
    )
    columns = [deliveries.c[field.name].label(f"delivery_{field.name}") for field in DELIVERED]
    return select(predictions, *columns).join(deliveries, latest, isouter=True)


def _prediction(row: Row[Any]) -> Prediction:
    values = dict(row._mapping)
    delivered = {field.name: values.pop(f"delivery_{field.name}") for field in DELIVERED}
    values["delivery"] = None if delivered["number"] is None else Delivery(**delivered)
    if values["detection"] is not None:
        values["detection"] = detection_from_json(values["detection"])
    return Prediction(**values)
