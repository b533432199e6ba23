"""Forget predictions that a newer version made instead: they were counted as failed."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Delete them; nothing refers to them, as they were never made."""
    op.execute(
        "DELETE FROM predictions WHERE status = 'failed' AND detection IS NULL"
        " AND reason LIKE '% is the current version now: it makes the prediction instead'"
        " AND id NOT IN (SELECT prediction_id FROM deliveries)"
    )


def downgrade() -> None:
    """Do nothing: the newer version has requested what they were about."""
