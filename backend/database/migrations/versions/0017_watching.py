"""Request ids, durations, and indexes for the status page."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

QUEUED = sa.text("status = 'queued'")
UNDELIVERED = sa.text("status NOT IN ('queued', 'failed') AND check_at IS NOT NULL")
FINISHED = sa.text("finished_at IS NOT NULL")


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
            ["project_uid", "asked_at", "status"],
            sqlite_where=QUEUED,
            postgresql_where=QUEUED,
        )
    op.create_index(
        "ix_predictions_undelivered",
        "predictions",
        ["check_at", "to_deliver"],
        sqlite_where=UNDELIVERED,
        postgresql_where=UNDELIVERED,
    )
    op.create_index(
        "ix_predictions_finished",
        "predictions",
        ["project_uid", "finished_at"],
        sqlite_where=FINISHED,
        postgresql_where=FINISHED,
    )


def downgrade() -> None:
    """Drop them, and what they hold."""
    op.drop_index("ix_predictions_undelivered", "predictions")
    op.drop_index("ix_predictions_finished", "predictions")
    for table in ("predictions", "interactive_answers"):
        op.drop_index(f"ix_{table}_queued", table)
    op.drop_table("durations")
    for table in ("predictions", "interactive_answers"):
        op.drop_column(table, "request_id")
