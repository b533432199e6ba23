"""What projects' corrections teach: changed annotations, examples and steps."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0008"
down_revision = "0007"

NEWEST = 200  # as many as a project keeps by default


def upgrade() -> None:
    """Make the three tables, and have the newest annotations of each project learnt."""
    op.create_table(
        "changed_annotations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("annotation_id", sa.BigInteger),
        sa.Column("task_id", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_changed_annotations"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "examples",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("annotation_id", sa.BigInteger, nullable=False),
        sa.Column("made_at", Time, nullable=False),
        sa.Column("object", sa.Integer, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("image_url", sa.Text, nullable=False),
        sa.Column("width", sa.Float, nullable=False),
        sa.Column("height", sa.Float, nullable=False),
        sa.Column("box", sa.JSON),
        sa.Column("class_name", sa.Text, nullable=False),
        sa.Column("points", sa.JSON, nullable=False),
        sa.Column("absent", sa.JSON, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("key", sa.String(200)),
        sa.Column("features", sa.LargeBinary),
        sa.Column("changed_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_examples"),
        sa.UniqueConstraint(
            "project_uid", "annotation_id", "made_at", "object", name="uq_examples_object"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_examples_project_uid_status", "examples", ["project_uid", "status"])
    op.create_index("ix_examples_status", "examples", ["status"])
    op.create_table(
        "learnt_steps",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("base_version", sa.String(200), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("members", sa.JSON, nullable=False),
        sa.Column("made_at", Time, nullable=False),
        sa.Column("requested_at", Time),
        sa.PrimaryKeyConstraint("id", name="pk_learnt_steps"),
        sa.UniqueConstraint("project_uid", "base_version", name="uq_learnt_steps_project_model"),
        sqlite_autoincrement=True,
    )
    op.execute(
        "INSERT INTO changed_annotations (project_uid, annotation_id)"
        " SELECT project_uid, annotation_id FROM ("
        "  SELECT project_uid, annotation_id, ROW_NUMBER() OVER"
        "   (PARTITION BY project_uid ORDER BY MAX(id) DESC) AS place"
        "  FROM annotation_states WHERE outcome = 'judged' GROUP BY project_uid, annotation_id"
        f" ) AS newest WHERE place <= {NEWEST}"
    )


def downgrade() -> None:
    """Drop them, and what they hold."""
    for table in ("learnt_steps", "examples", "changed_annotations"):
        op.drop_table(table)
