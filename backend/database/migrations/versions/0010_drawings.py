"""Learning from annotations that no prediction was compared with."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table and the column; annotations of before are learnt at the next `learn`."""
    op.create_table(
        "drawings",
        sa.Column("state_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("width", sa.Float, nullable=False),
        sa.Column("height", sa.Float, nullable=False),
        sa.Column("box", sa.JSON),
        sa.Column("objects", sa.JSON, nullable=False),
        sa.Column("points", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("state_id", name="pk_drawings"),
        sa.ForeignKeyConstraint(
            ["state_id"], ["annotation_states.id"], name="fk_drawings_state_id"
        ),
    )
    op.add_column("examples", sa.Column("drawn", sa.String(64)))


def downgrade() -> None:
    """Drop them, and what they hold."""
    op.drop_column("examples", "drawn")
    op.drop_table("drawings")
