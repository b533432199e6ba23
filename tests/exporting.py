"""Exports as bytes, and what reads them."""

from pathlib import Path

from pycocotools.coco import COCO

from backend.agreement.export import export
from backend.agreement.figures import measure_agreement
from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters


def exported(database: Database, format_: str, what: str | None = None) -> bytes:
    """Record the waiting events and return an export of everything."""
    Recorder(Settings(), database).drain()
    figures = measure_agreement(database, Filters())
    queries = AgreementQueries(database)
    made = export(queries, format_, what, Filters(), figures.as_json)
    return b"".join(made.pieces)


def loaded(content: bytes, folder: Path) -> COCO:
    """Read a COCO file with pycocotools."""
    path = folder / "coco.json"
    path.write_bytes(content)
    return COCO(path)
