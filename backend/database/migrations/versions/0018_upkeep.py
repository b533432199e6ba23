"""The name of the deployment, and notes of what was deleted."""

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the tables, and give this deployment a name."""
    deployments = op.create_table(
        "deployments",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("made_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deployments"),
    )
    name = secrets.token_hex(8)
    op.bulk_insert(deployments, [{"id": 1, "name": name, "made_at": datetime.now(UTC)}])
    op.create_table(
        "purges",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("purged_at", Time, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("cutoff", Time),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_purges"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("purges")
    op.drop_table("deployments")
