"""Tables of the webhooks of projects: their secrets, and how they were found."""

from sqlalchemy import BigInteger, Column, String, Table, Text

from backend.database.schema import Time, metadata

# Digests of the secrets that Label Studio sends with events, of those that were generated.
webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("project_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Time, nullable=False),
)

# How the webhook of each project was found at the last sync.
webhook_checks = Table(
    "webhook_checks",
    metadata,
    Column("project_uid", String(100), primary_key=True),
    Column("checked_at", Time, nullable=False),
    Column("problem", Text),
)
