"""Tables of trainings, of trained models, and of activations of models."""

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

from backend.database.schema import WAITS, Time, metadata, waiting_columns

UNFINISHED = text("status = 'queued'")
# Those that wait for a worker and for nothing else.
WAITS_FOR_WORKER = text("status = 'queued' AND waiting_for IS NULL")

trainings = Table(
    "trainings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", ForeignKey("projects.uid"), nullable=False),
    # See `records.TrainingOptions`.
    Column("wishes", JSON, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text),
    # Number of the current RQ job, and starts since the training last made progress.
    Column("round", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    *waiting_columns(),
    Column("progress", JSON(none_as_null=True)),
    # See `records.Outcome`.
    Column("outcome", JSON(none_as_null=True)),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("finished_at", Time),
    Index(
        "ix_trainings_waiting_for",
        "waiting_for",
        sqlite_where=WAITS,
        postgresql_where=WAITS,
    ),
    # A project has one unfinished training at most.
    Index(
        "uq_trainings_unfinished",
        "project_uid",
        unique=True,
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    ),
    sqlite_autoincrement=True,  # the RQ job's id contains it, so it must never be reused
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("training_id", ForeignKey("trainings.id"), nullable=False, unique=True),
    Column("project_uid", ForeignKey("projects.uid"), nullable=False),
    Column("control", Text, nullable=False),
    Column("arch", String(100), nullable=False),
    # Name of the weights file in MODELS_DIR, and its `model.weights_files.weights_fingerprint`.
    Column("file", Text, nullable=False),
    Column("fingerprint", String(200), nullable=False),
    Column("classes", JSON, nullable=False),
    Column("images", Integer, nullable=False),
    Column("validation_images", Integer, nullable=False),
    Column("accuracy", Float, nullable=False),
    # Of the model that was active before, on the same validation images.
    Column("previous_version", String(200), nullable=False),
    Column("previous_accuracy", Float),
    Column("created_at", Time, nullable=False),
    sqlite_autoincrement=True,
)

# The last activation of a project that is not undone names its active model. Without any, that is
# the active model of the deployment: the last activation without a project, or else that of the
# settings.
activations = Table(
    "model_choices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project_uid", String(100), index=True),  # NULL: of the deployment
    Column("model_id", ForeignKey("models.id")),  # NULL: that of the settings
    Column("way", String(10), nullable=False),
    Column("chosen_at", Time, nullable=False),
    Column("undone_at", Time),
    sqlite_autoincrement=True,
)
