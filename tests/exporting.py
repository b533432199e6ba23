"""Exports as bytes, and what reads them."""

from pathlib import Path

from pycocotools.coco import COCO

from backend.agreement.exports.content import ExportOptions
from backend.agreement.exports.formats import export
from backend.agreement.figures import measure_agreement
from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters


def exported(
    database: Database,
    format_: str,
    what: str | None = None,
    *,
    filters: Filters = Filters(),  # noqa: B008
    options: ExportOptions = ExportOptions(),  # noqa: B008
) -> bytes:
    """Record the waiting events and return an export, of everything unless filters are given."""
    Recorder(Settings(), database).drain()
    figures = measure_agreement(database, filters)
    made = export(database, format_, what, filters, figures.as_json, options)
    return b"".join(made.pieces)


def loaded(content: bytes, folder: Path) -> COCO:
    """Read a COCO file with pycocotools."""
    path = folder / "coco.json"
    path.write_bytes(content)
    return COCO(path)
