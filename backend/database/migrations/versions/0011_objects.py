"""Which landmarks of a prediction belong to which rectangle of its task."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column; predictions of before are about one object."""
    op.add_column("predictions", sa.Column("objects", sa.JSON))


def downgrade() -> None:
    """Drop it, and what it holds."""
    op.drop_column("predictions", "objects")
