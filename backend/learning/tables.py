"""Tables of what a project's corrections teach: examples, and the steps made of them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
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

# Those that wait for a worker and for nothing else.
WAITS_FOR_WORKER = text("status = 'waiting' AND waiting_for IS NULL")

# An object on an image, as the state of an annotation that counts leaves it. A row is deleted when
# its annotation is.
examples = Table(
    "examples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", String(100), nullable=False),
    Column("annotation_id", BigInteger, nullable=False),
    Column("made_at", Time, nullable=False),
    Column("object", Integer, nullable=False),
    Column("task_id", BigInteger, nullable=False),
    Column("image_url", Text, nullable=False),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
    Column("box", JSON(none_as_null=True)),
    Column("class_name", Text, nullable=False),
    Column("points", JSON, nullable=False),
    Column("absent", JSON, nullable=False),
    # Label → what a choice about its point says; NULL if nothing was chosen.
    Column("visibility", JSON(none_as_null=True)),
    Column("drawn", String(64)),
    Column("status", String(10), nullable=False),
    Column("reason", Text),
    # The work: number of the current RQ job, its starts, and its temporary failures.
    Column("round", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    *waiting_columns(),
    # Which backbone made the features, and the features, in half precision: of the object's
    # rectangle; without one, of the part where the object was found, and of the whole image.
    Column("key", String(200)),
    Column("features", LargeBinary),
    Column("whole", LargeBinary),
    Column("changed_at", Time, nullable=False),
    UniqueConstraint(
        "project_uid", "annotation_id", "made_at", "object", name="uq_examples_object"
    ),
    Index("ix_examples_project_uid_status", "project_uid", "status"),
    Index("ix_examples_status", "status"),
    Index("ix_examples_changed_at", "project_uid", "changed_at"),
    Index(
        "ix_examples_waiting_for",
        "waiting_for",
        sqlite_where=WAITS,
        postgresql_where=WAITS,
    ),
    sqlite_autoincrement=True,  # the RQ job's id contains it, so it must never be reused
)

# Seconds that actions take in a project, as far as its lead times tell them, and the number of
# annotations that they were last measured from.
team_costs = Table(
    "team_costs",
    metadata,
    Column("project_uid", String(100), primary_key=True),
    Column("annotations", Integer, nullable=False),
    Column("costs", JSON, nullable=False),
    Column("measured_at", Time, nullable=False),
)

# What the suggestions of a project know, with one of the models: one row for each, replaced
# by every new step.
learnt_steps = Table(
    "learnt_steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", String(100), nullable=False),
    Column("base_version", String(200), nullable=False),
    Column("key", String(200), nullable=False),
    Column("images", Integer, nullable=False),
    # Appended to the model's version; empty as long as nothing is learnt.
    Column("name", String(40), nullable=False),
    # Pairs of an example's id and digest.
    Column("members", JSON, nullable=False),
    # Seconds of actions, as far as measured, and the tolerance of the project's own settings.
    Column("costs", JSON(none_as_null=True)),
    Column("tolerance", Float),
    Column("made_at", Time, nullable=False),
    # When the next tasks were requested anew; NULL until then.
    Column("requested_at", Time),
    UniqueConstraint("project_uid", "base_version", name="uq_learnt_steps_project_model"),
    sqlite_autoincrement=True,
)
