"""The table of services that fail, such as the API of a Label Studio or a host of images."""

from sqlalchemy import Boolean, Column, Integer, Table, Text

from backend.database.schema import Time, metadata

outages = Table(
    "outages",
    metadata,
    Column("service", Text, primary_key=True),
    Column("since", Time, nullable=False),
    # Failures in a row, and whether they are enough to ask the service no more.
    Column("failures", Integer, nullable=False),
    Column("is_away", Boolean, nullable=False),
    # When one request may find out whether it is back.
    Column("probe_at", Time, nullable=False),
    Column("reason", Text, nullable=False),
)
