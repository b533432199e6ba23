"""The tables of the database, as the newest migration leaves them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class Time(TypeDecorator[datetime]):
    """A moment in UTC; SQLite, which knows no time zones, keeps it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

projects = Table(
    "projects",
    metadata,
    Column("uid", String(100), primary_key=True),
    Column("hostname", Text),
    Column("access_token", Text),
    Column("label_config", Text),
    Column("changed_at", Time, nullable=False),
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", ForeignKey("projects.uid"), nullable=False),
    Column("task_id", BigInteger, nullable=False),
    Column("image_url", Text, nullable=False),
    Column("input_sha256", String(64), nullable=False),
    Column("model_version", String(200), nullable=False),
    Column("task", JSON, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text),
    Column("detection", JSON(none_as_null=True)),
    # The work: which RQ job is meant, how often it began, how often it failed for want of luck.
    Column("round", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    # The delivery: see `delivery_storage.DeliveryStorage`.
    Column("to_deliver", Boolean, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("waiting_until", Time),
    Column("busy_until", Time),
    Column("check_at", Time),
    Column("checks", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("asked_at", Time, nullable=False),
    Column("started_at", Time),
    Column("finished_at", Time),
    UniqueConstraint("project_uid", "task_id", "input_sha256", "model_version"),
    Index("ix_predictions_task_id", "task_id"),
    Index("ix_predictions_status", "status"),
    Index("ix_predictions_check_at", "check_at"),
    sqlite_autoincrement=True,  # the job's id holds it, so it is never given out again
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("prediction_id", ForeignKey("predictions.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("way", String(10), nullable=False),
    Column("sent", JSON, nullable=False),
    Column("made_at", Time, nullable=False),
    Column("confirmed_at", Time),
    Column("label_studio_id", BigInteger),
    UniqueConstraint("prediction_id", "number"),
    Index("ix_deliveries_label_studio_id", "label_studio_id"),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("received_at", Time, nullable=False),
    Column("action", String(100), nullable=False),
    Column("project_id", BigInteger),
    Column("body", JSON, nullable=False),
    Index("ix_events_action", "action"),
    sqlite_autoincrement=True,
)
