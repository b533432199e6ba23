"""Models and settings by project, and every point that a detection found."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns and the table; activations so far stay those of the whole deployment."""
    op.add_column("model_choices", sa.Column("project_uid", sa.String(100)))
    op.create_index("ix_model_choices_project_uid", "model_choices", ["project_uid"])
    op.add_column("projects", sa.Column("settings", sa.JSON))
    op.create_table(
        "candidates",
        sa.Column("prediction_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("points", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("prediction_id", name="pk_candidates"),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name="fk_candidates_prediction_id"
        ),
    )


def downgrade() -> None:
    """Drop them, and what they hold."""
    op.drop_table("candidates")
    op.drop_column("projects", "settings")
    op.drop_index("ix_model_choices_project_uid", "model_choices")
    op.drop_column("model_choices", "project_uid")
