"""Tables of the deployment itself, and of what was deleted from it."""

from sqlalchemy import JSON, Column, Integer, String, Table

from backend.database.schema import Time, metadata

# One row: a random name by which processes tell whether they use the same database.
deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(40), nullable=False),
    Column("made_at", Time, nullable=False),
)

# What people had deleted: how many rows of which table, and never whose.
purges = Table(
    "purges",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("purged_at", Time, nullable=False),
    Column("kind", String(20), nullable=False),
    # Of a purge by age: what was done before is not recorded again.
    Column("cutoff", Time),
    Column("project_uid", String(100)),
    Column("counts", JSON, nullable=False),
    sqlite_autoincrement=True,
)
