"""Features of whole images, where there is no rectangle, and an index of what followed a point."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

WITHOUT_RECTANGLE = "object = -1"


def upgrade() -> None:
    """Add column and index, and have examples without a rectangle learnt again.

    Their box was the part that the class evidence points to. It is worked out anew from their
    annotations, as some tasks name a box.
    """
    op.create_index(
        "ix_verdicts_follow_up",
        "verdicts",
        ["state_id"],
        sqlite_where=sa.text("kind = 'follow-up'"),
        postgresql_where=sa.text("kind = 'follow-up'"),
    )
    op.add_column("examples", sa.Column("whole", sa.LargeBinary))
    op.execute(
        "DELETE FROM learnt_steps WHERE project_uid IN"
        f" (SELECT project_uid FROM examples WHERE {WITHOUT_RECTANGLE})"
    )
    op.execute(
        "UPDATE examples SET status = 'waiting', reason = NULL, key = NULL, features = NULL,"
        " round = round + 1, attempts = 0, failures = 0"
        f" WHERE {WITHOUT_RECTANGLE} AND status IN ('ready', 'spare')"
    )
    # No drawing has this digest, so their boxes are replaced as well.
    op.execute(f"UPDATE examples SET drawn = '' WHERE {WITHOUT_RECTANGLE} AND drawn IS NOT NULL")
    op.execute(
        "INSERT INTO changed_annotations (project_uid, annotation_id)"
        f" SELECT DISTINCT project_uid, annotation_id FROM examples WHERE {WITHOUT_RECTANGLE}"
    )


def downgrade() -> None:
    """Drop both, and what they hold."""
    op.drop_index("ix_verdicts_follow_up", "verdicts")
    op.drop_column("examples", "whole")
