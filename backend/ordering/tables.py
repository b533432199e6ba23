"""Table of the rough descriptions of tasks' images, from which an order is computed."""

from sqlalchemy import BigInteger, Column, LargeBinary, String, Table

from backend.database.schema import Time, metadata

task_descriptors = Table(
    "task_descriptors",
    metadata,
    Column("project_uid", String(100), primary_key=True),
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    # Digest of the image's address and of the task's box.
    Column("input_sha256", String(64), nullable=False),
    # Which backbone described it; the description, in half precision.
    Column("key", String(200), nullable=False),
    Column("descriptor", LargeBinary, nullable=False),
    Column("made_at", Time, nullable=False),
)
