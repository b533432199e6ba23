"""The table of how long things take, which all processes add to."""

from sqlalchemy import BigInteger, Column, Float, String, Table

from backend.database.schema import metadata

durations = Table(
    "durations",
    metadata,
    # See `records.Measured`; `label` is empty where a histogram has one series only.
    Column("measured", String(40), primary_key=True),
    Column("label", String(40), primary_key=True),
    # Upper bound of the bucket as Prometheus writes it, such as 0.5 or +Inf.
    Column("bound", String(10), primary_key=True),
    # Of this bucket alone, not of the ones below.
    Column("count", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
)
