"""Tables of the verdict log, as the newest migration leaves them. Rows are only ever added,
except for `changed_annotations`, which is an outbox.

Project, id and moment of creation identify an annotation, because Label Studio on SQLite reuses
the ids of deleted annotations.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal,
)

from backend.database.schema import Time, metadata

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

# An annotation at one moment. Its newest state counts.
states = Table(
    "annotation_states",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", String(100), nullable=False),
    Column("task_id", BigInteger, nullable=False),
    Column("annotation_id", BigInteger, nullable=False),
    Column("made_at", Time, nullable=False),
    Column("updated_at", Time, nullable=False),
    Column("digest", String(64), nullable=False),
    # See `digests`.
    Column("digest_version", Integer, nullable=False, server_default="1"),
    Column("source", String(10), nullable=False),
    Column("recorded_at", Time, nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("reason", Text),
    Column("annotator", BigInteger),
    Column("updated_by", BigInteger),
    Column("lead_time", Float),
    Column("prediction_id", ForeignKey("predictions.id")),
    Column("model_version", String(200)),
    Column("score", Float),
    Column("class_name", Text),
    Column("shown", Boolean),
    Column("width", Float),
    Column("height", Float),
    Column("objects", JSON(none_as_null=True)),
    # See `packing`.
    Column("points", LargeBinary, nullable=False),
    Column("labels", JSON, nullable=False),
    # Of which image of its task, from 0, as the prediction numbers them; NULL where there is only
    # one. An annotation of a task with several has a state for each.
    Column("image_number", Integer),
    UniqueConstraint(
        "project_uid",
        "annotation_id",
        "made_at",
        "updated_at",
        "digest",
        name="uq_annotation_states_state",  # the usual name is too long for PostgreSQL
    ),
    Index("ix_annotation_states_project_uid_task_id", "project_uid", "task_id"),
    Index("ix_annotation_states_prediction_id", "prediction_id"),
    Index("ix_annotation_states_outcome", "outcome"),
    sqlite_autoincrement=True,
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("state_id", ForeignKey("annotation_states.id"), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("number", Integer),
    Column("region_id", Text),
    Column("suggested_label", Text),
    Column("final_label", Text),
    Column("score", Float),
    Column("suggested_x", Float),
    Column("suggested_y", Float),
    Column("final_x", Float),
    Column("final_y", Float),
    Column("displacement", Float),
    Column("length", Float),
    Column("area", Float),
    Column("object", Integer),
    Column("suggested_hit", Boolean),
    Column("final_hit", Boolean),
    Column("suggested_visibility", String(10)),
    Column("final_visibility", String(10)),
    Index("ix_verdicts_state_id", "state_id"),
    sqlite_autoincrement=True,
)

# Points and rectangles of states that no prediction was compared with; see `drawings`.
drawings = Table(
    "drawings",
    metadata,
    Column("state_id", ForeignKey("annotation_states.id"), primary_key=True, autoincrement=False),
    Column("image_url", Text, nullable=False),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
    Column("box", JSON(none_as_null=True)),
    Column("objects", JSON, nullable=False),
    Column("points", JSON, nullable=False),
)

# Verdicts about choices are few, so an index holds them alone. The kind is a literal in the
# statement, because a database uses a partial index only if it can see that the index applies.
IS_CHOICE = verdicts.c.kind == literal("choice", literal_execute=True)
Index(
    "ix_verdicts_choice",
    verdicts.c.state_id,
    verdicts.c.verdict,
    sqlite_where=IS_CHOICE,
    postgresql_where=IS_CHOICE,
)

# So are those about points that followed something placed.
IS_FOLLOW_UP = verdicts.c.kind == literal("follow-up", literal_execute=True)
Index(
    "ix_verdicts_follow_up",
    verdicts.c.state_id,
    sqlite_where=IS_FOLLOW_UP,
    postgresql_where=IS_FOLLOW_UP,
)

# The annotations that began as a suggestion, each with the prediction. Label Studio forgets this
# when the prediction is deleted, and an annotator may delete every suggested point.
origins = Table(
    "annotation_origins",
    metadata,
    Column("project_uid", String(100), primary_key=True),
    Column("annotation_id", BigInteger, primary_key=True, autoincrement=False),
    Column("made_at", Time, primary_key=True),
    Column("prediction_id", ForeignKey("predictions.id"), nullable=False),
)

# An annotation, or every annotation of a task, was deleted, or was found again.
retractions = Table(
    "retractions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", String(100), nullable=False),
    Column("annotation_id", BigInteger),
    Column("task_id", BigInteger),
    Column("at", Time, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("source", String(10), nullable=False),
    Index("ix_retractions_project_uid_annotation_id", "project_uid", "annotation_id"),
    Index("ix_retractions_project_uid_task_id", "project_uid", "task_id"),
    sqlite_autoincrement=True,
)

# Annotations, or all annotations of a task, whose current state may have changed since it was last
# passed on to the learning; see `lesson_storage`. A row is deleted once that is done.
changed_annotations = Table(
    "changed_annotations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", String(100), nullable=False),
    Column("annotation_id", BigInteger),
    Column("task_id", BigInteger),
    sqlite_autoincrement=True,
)

handled_events = Table(
    "handled_events",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True, autoincrement=False),
    Column("handled_at", Time, nullable=False),
)

# Events that could not be handled, and by which version of the program; another one tries again.
set_aside_events = Table(
    "set_aside_events",
    metadata,
    Column("event_id", ForeignKey("events.id"), primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("program_version", String(100), nullable=False),
    Column("set_aside_at", Time, nullable=False),
)

# The states that events brought. Every other state came from a sync, because its event was lost.
arrivals = Table(
    "arrivals",
    metadata,
    Column("state_id", ForeignKey("annotation_states.id"), primary_key=True, autoincrement=False),
    Column("event_id", ForeignKey("events.id"), primary_key=True, autoincrement=False),
)

# A region of a state that was not used, or an event that makes no state at all.
unused = Table(
    "unused",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("state_id", ForeignKey("annotation_states.id")),
    Column("event_id", ForeignKey("events.id")),
    Column("project_uid", String(100)),
    Column("task_id", BigInteger),
    Column("reason", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    UniqueConstraint("digest"),
    Index("ix_unused_state_id", "state_id"),
    sqlite_autoincrement=True,
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", String(100), nullable=False),
    Column("started_at", Time, nullable=False),
    Column("annotations", Integer, nullable=False),
    Column("added", Integer, nullable=False),
    Column("retracted", Integer, nullable=False),
    Column("problem", Text),
    Index("ix_sync_runs_project_uid", "project_uid"),
    sqlite_autoincrement=True,
)

# What people had deleted: how many rows of which table, and never whose.
purges = Table(
    "purges",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("purged_at", Time, nullable=False),
    Column("kind", String(20), nullable=False),
    # Of a deletion by age: what is older is not recorded again when it is pulled.
    Column("cutoff", Time),
    Column("counts", JSON, nullable=False),
    sqlite_autoincrement=True,
)
