"""Trainings, the models that came of them, and which model answers."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "trainings",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("wishes", sa.JSON, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("progress", sa.JSON),
        sa.Column("outcome", sa.JSON),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("started_at", Time),
        sa.Column("finished_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_trainings"),
        sa.ForeignKeyConstraint(["project_uid"], ["projects.uid"], name="fk_trainings_project_uid"),
        sqlite_autoincrement=True,
    )
    unfinished = sa.text("status = 'queued'")
    op.create_index(
        "uq_trainings_unfinished",
        "trainings",
        ["project_uid"],
        unique=True,
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("training_id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("control", sa.Text, nullable=False),
        sa.Column("arch", sa.String(100), nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(200), nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("validation_images", sa.Integer, nullable=False),
        sa.Column("accuracy", sa.Float, nullable=False),
        sa.Column("previous_version", sa.String(200), nullable=False),
        sa.Column("previous_accuracy", sa.Float),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.ForeignKeyConstraint(["training_id"], ["trainings.id"], name="fk_models_training_id"),
        sa.ForeignKeyConstraint(["project_uid"], ["projects.uid"], name="fk_models_project_uid"),
        sa.UniqueConstraint("training_id", name="uq_models_training_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "model_choices",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("model_id", sa.Integer),
        sa.Column("way", sa.String(10), nullable=False),
        sa.Column("chosen_at", Time, nullable=False),
        sa.Column("undone_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_model_choices"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_model_choices_model_id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop them, and what they hold."""
    for table in ("model_choices", "models", "trainings"):
        op.drop_table(table)
