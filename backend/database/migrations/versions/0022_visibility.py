"""What choices about points say of their visibility, in verdicts and in examples."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

OF_VERDICTS = ("suggested_visibility", "final_visibility")


def upgrade() -> None:
    """Add the columns, which are NULL for what was recorded before."""
    for name in OF_VERDICTS:
        op.add_column("verdicts", sa.Column(name, sa.String(10)))
    op.add_column("examples", sa.Column("visibility", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Drop the columns, and what they hold."""
    op.drop_column("examples", "visibility")
    for name in reversed(OF_VERDICTS):
        op.drop_column("verdicts", name)
