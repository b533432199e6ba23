"""The table of the deployment itself."""

from sqlalchemy import Column, Integer, String, Table

from backend.database.schema import Time, metadata

# One row: a random name by which processes tell whether they use the same database.
deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(40), nullable=False),
    Column("made_at", Time, nullable=False),
)
