"""Projects, predictions with their deliveries, and raw events."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the four tables."""
    op.create_table(
        "projects",
        sa.Column("uid", sa.String(100), nullable=False),
        sa.Column("hostname", sa.Text),
        sa.Column("access_token", sa.Text),
        sa.Column("label_config", sa.Text),
        sa.Column("changed_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("uid", name="pk_projects"),
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("model_version", sa.String(200), nullable=False),
        sa.Column("task", sa.JSON, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detection", sa.JSON),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("to_deliver", sa.Boolean, nullable=False),
        sa.Column("deliveries", sa.Integer, nullable=False),
        sa.Column("waiting_until", Time),
        sa.Column("busy_until", Time),
        sa.Column("check_at", Time),
        sa.Column("checks", sa.Integer, nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("asked_at", Time, nullable=False),
        sa.Column("started_at", Time),
        sa.Column("finished_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
        sa.ForeignKeyConstraint(
            ["project_uid"], ["projects.uid"], name="fk_predictions_project_uid"
        ),
        sa.UniqueConstraint(
            "project_uid",
            "task_id",
            "input_sha256",
            "model_version",
            name="uq_predictions_project_uid_task_id_input_sha256_model_version",
        ),
        sqlite_autoincrement=True,
    )
    for column in ("task_id", "status", "check_at"):
        op.create_index(f"ix_predictions_{column}", "predictions", [column])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("prediction_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("way", sa.String(10), nullable=False),
        sa.Column("sent", sa.JSON, nullable=False),
        sa.Column("made_at", Time, nullable=False),
        sa.Column("confirmed_at", Time),
        sa.Column("label_studio_id", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name="fk_deliveries_prediction_id"
        ),
        sa.UniqueConstraint("prediction_id", "number", name="uq_deliveries_prediction_id_number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_label_studio_id", "deliveries", ["label_studio_id"])
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("received_at", Time, nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("project_id", sa.BigInteger),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_action", "events", ["action"])


def downgrade() -> None:
    """Drop them, and what they hold."""
    for table in ("events", "deliveries", "predictions", "projects"):
        op.drop_table(table)
