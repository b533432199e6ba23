"""What actions cost a team, and by which costs and tolerance its landmarks were judged."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the table and the columns; what was learnt so far keeps the standard costs."""
    op.create_table(
        "team_costs",
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("annotations", sa.Integer, nullable=False),
        sa.Column("costs", sa.JSON, nullable=False),
        sa.Column("measured_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("project_uid", name="pk_team_costs"),
    )
    op.add_column("learnt_steps", sa.Column("costs", sa.JSON))
    op.add_column("learnt_steps", sa.Column("tolerance", sa.Float))
    op.add_column("predictions", sa.Column("costs", sa.JSON))


def downgrade() -> None:
    """Drop them, and what they hold."""
    op.drop_column("predictions", "costs")
    op.drop_column("learnt_steps", "tolerance")
    op.drop_column("learnt_steps", "costs")
    op.drop_table("team_costs")
