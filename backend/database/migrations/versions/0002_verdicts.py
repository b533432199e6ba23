"""The verdict log: states of annotations, verdicts, retractions, what was not used."""

import sqlalchemy as sa
from alembic import op

from backend.database.schema import Time

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the nine tables."""
    op.create_table(
        "annotation_states",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("annotation_id", sa.BigInteger, nullable=False),
        sa.Column("made_at", Time, nullable=False),
        sa.Column("updated_at", Time, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("source", sa.String(10), nullable=False),
        sa.Column("recorded_at", Time, nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("annotator", sa.BigInteger),
        sa.Column("lead_time", sa.Float),
        sa.Column("prediction_id", sa.Integer),
        sa.Column("model_version", sa.String(200)),
        sa.Column("score", sa.Float),
        sa.Column("class_name", sa.Text),
        sa.Column("shown", sa.Boolean),
        sa.Column("width", sa.Float),
        sa.Column("height", sa.Float),
        sa.Column("objects", sa.JSON),
        sa.Column("points", sa.LargeBinary, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_annotation_states"),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name="fk_annotation_states_prediction_id"
        ),
        sa.UniqueConstraint(
            "project_uid",
            "annotation_id",
            "made_at",
            "updated_at",
            "digest",
            name="uq_annotation_states_state",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_annotation_states_prediction_id", "annotation_states", ["prediction_id"])
    op.create_index("ix_annotation_states_outcome", "annotation_states", ["outcome"])
    op.create_index(
        "ix_annotation_states_project_uid_task_id", "annotation_states", ["project_uid", "task_id"]
    )
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("state_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("region_id", sa.Text),
        sa.Column("suggested_label", sa.Text),
        sa.Column("final_label", sa.Text),
        sa.Column("score", sa.Float),
        sa.Column("suggested_x", sa.Float),
        sa.Column("suggested_y", sa.Float),
        sa.Column("final_x", sa.Float),
        sa.Column("final_y", sa.Float),
        sa.Column("displacement", sa.Float),
        sa.Column("length", sa.Float),
        sa.Column("area", sa.Float),
        sa.Column("object", sa.Integer),
        sa.Column("suggested_hit", sa.Boolean),
        sa.Column("final_hit", sa.Boolean),
        sa.PrimaryKeyConstraint("id", name="pk_verdicts"),
        sa.ForeignKeyConstraint(
            ["state_id"], ["annotation_states.id"], name="fk_verdicts_state_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_verdicts_state_id", "verdicts", ["state_id"])
    op.create_index(
        "ix_verdicts_choice",
        "verdicts",
        ["state_id", "verdict"],
        sqlite_where=sa.text("kind = 'choice'"),
        postgresql_where=sa.text("kind = 'choice'"),
    )
    op.create_table(
        "retractions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("annotation_id", sa.BigInteger),
        sa.Column("task_id", sa.BigInteger),
        sa.Column("at", Time, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("source", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_retractions"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_retractions_project_uid_annotation_id", "retractions", ["project_uid", "annotation_id"]
    )
    op.create_index("ix_retractions_project_uid_task_id", "retractions", ["project_uid", "task_id"])
    op.create_table(
        "handled_events",
        sa.Column("event_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("handled_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_handled_events"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_handled_events_event_id"),
    )
    op.create_table(
        "arrivals",
        sa.Column("state_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("event_id", sa.Integer, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("state_id", "event_id", name="pk_arrivals"),
        sa.ForeignKeyConstraint(
            ["state_id"], ["annotation_states.id"], name="fk_arrivals_state_id"
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_arrivals_event_id"),
    )
    op.create_table(
        "unused",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("state_id", sa.Integer),
        sa.Column("event_id", sa.Integer),
        sa.Column("project_uid", sa.String(100)),
        sa.Column("task_id", sa.BigInteger),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unused"),
        sa.ForeignKeyConstraint(["state_id"], ["annotation_states.id"], name="fk_unused_state_id"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_unused_event_id"),
        sa.UniqueConstraint("digest", name="uq_unused_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_unused_state_id", "unused", ["state_id"])
    op.create_table(
        "holdouts",
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("task_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("withheld_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("project_uid", "task_id", name="pk_holdouts"),
    )
    op.create_table(
        "kept_maps",
        sa.Column("prediction_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("coarse", sa.LargeBinary, nullable=False),
        sa.Column("fine", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("prediction_id", name="pk_kept_maps"),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name="fk_kept_maps_prediction_id"
        ),
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_uid", sa.String(100), nullable=False),
        sa.Column("started_at", Time, nullable=False),
        sa.Column("annotations", sa.Integer, nullable=False),
        sa.Column("added", sa.Integer, nullable=False),
        sa.Column("retracted", sa.Integer, nullable=False),
        sa.Column("problem", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_sync_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sync_runs_project_uid", "sync_runs", ["project_uid"])


def downgrade() -> None:
    """Drop them, and what they hold."""
    for table in (
        "sync_runs",
        "kept_maps",
        "holdouts",
        "unused",
        "arrivals",
        "handled_events",
        "retractions",
        "verdicts",
        "annotation_states",
    ):
        op.drop_table(table)
