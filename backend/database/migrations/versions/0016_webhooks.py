"""Secrets of webhooks, and how webhooks were found."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhook_secrets",
        sa.Column("project_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_webhook_secrets"),
    )
    op.create_table(
        "webhook_checks",
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("checked_at", Time, nullable=False),
        sa.Column("problem", sa.Text),
        sa.PrimaryKeyConstraint("project_uid", name="pk_webhook_checks"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("webhook_checks")
    op.drop_table("webhook_secrets")
