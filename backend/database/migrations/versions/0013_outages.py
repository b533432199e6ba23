"""Outages that work waits for, and events that cannot be handled."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0013"
down_revision = "0012"

WORK = ("predictions", "examples", "trainings")


def upgrade() -> None:
    """Make the tables, and give each table of work the columns that let it wait."""
    op.create_table(
        "outages",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("since", Time, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("is_away", sa.Boolean, nullable=False),
        sa.Column("probe_at", Time, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("service", name="pk_outages"),
    )
    op.create_table(
        "set_aside_events",
        sa.Column("event_id", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("program_version", sa.String(100), nullable=False),
        sa.Column("set_aside_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_set_aside_events"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_set_aside_events_event_id"),
    )
    for table in WORK:
        op.add_column(table, sa.Column("waiting_for", sa.Text))
        op.add_column(table, sa.Column("retry_at", Time))
        op.add_column(table, sa.Column("failing_since", Time))
        op.create_index(
            f"ix_{table}_waiting_for",
            table,
            ["waiting_for"],
            sqlite_where=sa.text("waiting_for IS NOT NULL"),
            postgresql_where=sa.text("waiting_for IS NOT NULL"),
        )


def downgrade() -> None:
    """Drop them, and what they hold."""
    for table in WORK:
        op.drop_index(f"ix_{table}_waiting_for", table)
        for column in ("failing_since", "retry_at", "waiting_for"):
            op.drop_column(table, column)
    op.drop_table("set_aside_events")
    op.drop_table("outages")
