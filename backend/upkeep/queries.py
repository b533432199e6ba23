"""Every table that there is, parents before children."""

from importlib import import_module
from pathlib import Path

from sqlalchemy import Table

from backend.database.schema import metadata

BACKEND = Path(__file__).parent.parent


def every_table() -> list[Table]:
    """Return all tables, those that others refer to first; a new package's are among them."""
    import_module("backend.labelstudio.projects")
    for path in sorted(BACKEND.glob("*/tables.py")):
        import_module(f"backend.{path.parent.name}.tables")
    return list(metadata.sorted_tables)
