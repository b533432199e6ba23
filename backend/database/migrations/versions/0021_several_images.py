"""The images of tasks with several: what was found on each, and what annotators did there."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add table and column; predictions and annotations of before are about one image."""
    op.create_table(
        "prediction_images",
        sa.Column("prediction_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("to_name", sa.Text, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("detection", sa.JSON),
        sa.Column("objects", sa.JSON),
        sa.Column("points", sa.LargeBinary),
        sa.PrimaryKeyConstraint("prediction_id", "number", name="pk_prediction_images"),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name="fk_prediction_images_prediction_id"
        ),
    )
    op.add_column("annotation_states", sa.Column("image_number", sa.Integer))


def downgrade() -> None:
    """Drop both, and what they hold: what is known of further images of tasks."""
    op.execute(
        "DELETE FROM unused WHERE state_id IN"
        " (SELECT id FROM annotation_states WHERE image_number > 0)"
    )
    for table in ("verdicts", "drawings", "arrivals"):
        op.execute(
            f"DELETE FROM {table} WHERE state_id IN"
            " (SELECT id FROM annotation_states WHERE image_number > 0)"
        )
    op.execute("DELETE FROM annotation_states WHERE image_number > 0")
    op.drop_column("annotation_states", "image_number")
    op.drop_table("prediction_images")
