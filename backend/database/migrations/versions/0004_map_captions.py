"""Captions of the kept maps: which two maps they are."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the two captions; they stay empty for maps that were kept before."""
    op.add_column("kept_maps", sa.Column("coarse_caption", sa.Text))
    op.add_column("kept_maps", sa.Column("fine_caption", sa.Text))


def downgrade() -> None:
    """Drop the captions."""
    op.drop_column("kept_maps", "fine_caption")
    op.drop_column("kept_maps", "coarse_caption")
