"""Tables of predictions and deliveries, withheld tasks and kept maps."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from backend.database.schema import WAITS, Time, metadata, waiting_columns

# Those that wait for a worker and for nothing else: what an annotator opened, and all others. For
# status = 'queued', SQLite would take the index of the status instead, and read all of its rows.
_WAITS = "status NOT IN ('ready', 'failed') AND waiting_for IS NULL AND opened_at IS "
WAITS_OPENED = text(f"{_WAITS}NOT NULL")
WAITS_IN_BATCH = text(f"{_WAITS}NULL")
# Partial indexes hold only the rows that a worker has yet to make, or that are finished.
QUEUED = text("status = 'queued'")
FINISHED = text("finished_at IS NOT NULL")
UNDELIVERED = text("status NOT IN ('queued', 'failed') AND check_at IS NOT NULL")

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
    # By which landmarks are shown: seconds of actions, as far as measured.
    Column("costs", JSON(none_as_null=True)),
    # See `objects`; NULL where the task has no rectangle.
    Column("objects", JSON(none_as_null=True)),
    # The work: number of the current RQ job, its starts, and its temporary failures.
    Column("round", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    *waiting_columns(),
    # The delivery: see `delivery_storage`.
    Column("to_deliver", Boolean, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("waiting_until", Time),
    Column("busy_until", Time),
    Column("check_at", Time),
    Column("checks", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("asked_at", Time, nullable=False),
    # When an annotator opened the task and it was not ready; NULL for one that nobody waits for.
    Column("opened_at", Time),
    Column("started_at", Time),
    Column("finished_at", Time),
    # Of the request that asked last; in every log line about the row.
    Column("request_id", String(64)),
    UniqueConstraint("project_uid", "task_id", "input_sha256", "model_version"),
    Index("ix_predictions_task_id", "task_id"),
    Index("ix_predictions_status", "status"),
    Index("ix_predictions_check_at", "check_at"),
    Index(
        "ix_predictions_waiting_for",
        "waiting_for",
        sqlite_where=WAITS,
        postgresql_where=WAITS,
    ),
    Index(
        "ix_predictions_waits_opened",
        *("project_uid", "opened_at", "id", "retry_at"),
        sqlite_where=WAITS_OPENED,
        postgresql_where=WAITS_OPENED,
    ),
    Index(
        "ix_predictions_waits_in_batch",
        *("project_uid", "id", "retry_at"),
        sqlite_where=WAITS_IN_BATCH,
        postgresql_where=WAITS_IN_BATCH,
    ),
    Index(
        "ix_predictions_queued",
        "project_uid",
        "asked_at",
        "status",  # so that the index alone answers
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    ),
    Index(
        "ix_predictions_undelivered",
        "check_at",
        "to_deliver",
        sqlite_where=UNDELIVERED,
        postgresql_where=UNDELIVERED,
    ),
    Index(
        "ix_predictions_finished",
        "project_uid",
        "finished_at",
        sqlite_where=FINISHED,
        postgresql_where=FINISHED,
    ),
    sqlite_autoincrement=True,  # the RQ job's id contains it, so it must never be reused
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

# Every point that a detection found; see `records.pack_points`. Earlier versions stored none.
candidates = Table(
    "candidates",
    metadata,
    Column("prediction_id", ForeignKey("predictions.id"), primary_key=True, autoincrement=False),
    Column("points", LargeBinary, nullable=False),
)

# The images of predictions whose task has several; see `several_images`. What was found on the
# first stands in the row of the prediction, as its other points do in `candidates`.
prediction_images = Table(
    "prediction_images",
    metadata,
    Column("prediction_id", ForeignKey("predictions.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("to_name", Text, nullable=False),
    Column("image_url", Text, nullable=False),
    Column("reason", Text),
    Column("detection", JSON(none_as_null=True)),
    Column("objects", JSON(none_as_null=True)),
    # As those of `candidates`.
    Column("points", LargeBinary),
)

# Tasks whose suggestions are withheld, to measure what annotators do without them.
holdouts = Table(
    "holdouts",
    metadata,
    Column("project_uid", String(100), primary_key=True),
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    Column("withheld_at", Time, nullable=False),
)
# The coarse and the fine map of a few predictions, as PNG, for the report. A caption says which map
# it is; NULL if unknown.
kept_maps = Table(
    "kept_maps",
    metadata,
    Column("prediction_id", ForeignKey("predictions.id"), primary_key=True, autoincrement=False),
    Column("coarse", LargeBinary, nullable=False),
    Column("fine", LargeBinary, nullable=False),
    Column("coarse_caption", Text),
    Column("fine_caption", Text),
)

# Answers to annotators who place a point or a rectangle: what was placed so far, what a worker
# found, and the regions of the answer, new and repeated ones.
interactive_answers = Table(
    "interactive_answers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", ForeignKey("projects.uid"), nullable=False),
    Column("task_id", BigInteger, nullable=False),
    Column("image_url", Text, nullable=False),
    Column("request", JSON, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text),
    Column("model_version", String(200)),
    Column("detection", JSON(none_as_null=True)),
    Column("sent", JSON(none_as_null=True)),
    Column("asked_at", Time, nullable=False),
    Column("sent_at", Time),
    Column("request_id", String(64)),
    Index("ix_interactive_answers_task", "project_uid", "task_id"),
    Index(
        "ix_interactive_answers_queued",
        "project_uid",
        "asked_at",
        "status",  # so that the index alone answers
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    ),
    sqlite_autoincrement=True,  # the RQ job's id contains it, so it must never be reused
)
