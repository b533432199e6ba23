"""In which order work that waits is done, and how far long listings of tasks have come."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0015"
down_revision = "0014"

WAITS = "status NOT IN ('ready', 'failed') AND waiting_for IS NULL AND opened_at IS "
INDEXES = {
    "ix_predictions_waits_opened": (
        ["project_uid", "opened_at", "id", "retry_at"],
        sa.text(f"{WAITS}NOT NULL"),
    ),
    "ix_predictions_waits_in_batch": (
        ["project_uid", "id", "retry_at"],
        sa.text(f"{WAITS}NULL"),
    ),
}


def upgrade() -> None:
    """Add when a task was opened, the indexes that find what comes next, and the listings."""
    op.add_column("predictions", sa.Column("opened_at", Time))
    for name, (columns, condition) in INDEXES.items():
        op.create_index(
            name, "predictions", columns, sqlite_where=condition, postgresql_where=condition
        )
    op.create_index("ix_examples_changed_at", "examples", ["project_uid", "changed_at"])
    op.create_table(
        "listings",
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("purpose", sa.String(250), nullable=False),
        sa.Column("after_task_id", sa.BigInteger, nullable=False),
        sa.Column("began_at", Time, nullable=False),
        sa.Column("saved_at", Time, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("project_uid", "purpose", name="pk_listings"),
    )


def downgrade() -> None:
    """Drop them; then workers take predictions in the order in which they were requested."""
    op.drop_table("listings")
    op.drop_index("ix_examples_changed_at", "examples")
    for name in INDEXES:
        op.drop_index(name, "predictions")
    op.drop_column("predictions", "opened_at")
