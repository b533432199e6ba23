"""Answers to annotators who place a point or a rectangle."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "interactive_answers",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("model_version", sa.String(200)),
        sa.Column("detection", sa.JSON),
        sa.Column("sent", sa.JSON),
        sa.Column("asked_at", Time, nullable=False),
        sa.Column("sent_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_interactive_answers"),
        sa.ForeignKeyConstraint(
            ["project_uid"],
            ["projects.uid"],
            name="fk_interactive_answers_project_uid",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_interactive_answers_task", "interactive_answers", ["project_uid", "task_id"]
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("interactive_answers")
