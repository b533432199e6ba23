"""Rough descriptions of tasks' images, from which the order of annotation is computed."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "task_descriptors",
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("descriptor", sa.LargeBinary, nullable=False),
        sa.Column("made_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("project_uid", "task_id", name="pk_task_descriptors"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("task_descriptors")
