"""The tables of trainings, of the models that came of them, and of which model answers."""

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from backend.database.schema import Time, metadata

UNFINISHED = text("status = 'queued'")

trainings = Table(
    "trainings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", ForeignKey("projects.uid"), nullable=False),
    # See `training_records.Wishes`.
    Column("wishes", JSON, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text),
    # The work: which RQ job is meant, and how often it began without getting on.
    Column("round", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("progress", JSON(none_as_null=True)),
    # See `training_records.Outcome`.
    Column("outcome", JSON(none_as_null=True)),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("finished_at", Time),
    # A project has one training at a time.
    Index(
        "uq_trainings_unfinished",
        "project_uid",
        unique=True,
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    ),
    sqlite_autoincrement=True,  # the job's id holds it, so it is never given out again
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("training_id", ForeignKey("trainings.id"), nullable=False, unique=True),
    Column("project_uid", ForeignKey("projects.uid"), nullable=False),
    Column("control", Text, nullable=False),
    Column("arch", String(100), nullable=False),
    # Its name in MODELS_DIR, and what `model.settings.weights_fingerprint` says of it.
    Column("file", Text, nullable=False),
    Column("fingerprint", String(200), nullable=False),
    Column("classes", JSON, nullable=False),
    Column("images", Integer, nullable=False),
    Column("validation_images", Integer, nullable=False),
    Column("accuracy", Float, nullable=False),
    # Of the model that answered until then, on the same validation images.
    Column("previous_version", String(200), nullable=False),
    Column("previous_accuracy", Float),
    Column("created_at", Time, nullable=False),
    sqlite_autoincrement=True,
)

# The last one that is not undone says which model answers; without any, it is that of the settings.
choices = Table(
    "model_choices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_id", ForeignKey("models.id")),  # none: that of the settings
    Column("way", String(10), nullable=False),
    Column("chosen_at", Time, nullable=False),
    Column("undone_at", Time),
    sqlite_autoincrement=True,
)
