"""Request ids, durations, and indexes for the status page."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0014"

QUEUED = sa.text("status = 'queued'")


def upgrade() -> None:
    """Add the columns, the table and the indexes."""
    for table in ("predictions", "interactive_answers"):
        op.add_column(table, sa.Column("request_id", sa.String(64)))
    op.create_table(
        "durations",
        sa.Column("measured", sa.String(40), nullable=False),
        sa.Column("label", sa.String(40), nullable=False),
        sa.Column("bound", sa.String(10), nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("measured", "label", "bound", name="pk_durations"),
    )
    for table in ("predictions", "interactive_answers"):
        op.create_index(
            f"ix_{table}_queued",
            table,
            ["project_uid", "asked_at"],
            sqlite_where=QUEUED,
            postgresql_where=QUEUED,
        )
    op.create_index(
        "ix_predictions_project_uid_finished_at", "predictions", ["project_uid", "finished_at"]
    )


def downgrade() -> None:
    """Drop them, and what they hold."""
    op.drop_index("ix_predictions_project_uid_finished_at", "predictions")
    for table in ("predictions", "interactive_answers"):
        op.drop_index(f"ix_{table}_queued", table)
    op.drop_table("durations")
    for table in ("predictions", "interactive_answers"):
        op.drop_column(table, "request_id")
