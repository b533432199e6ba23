"""`python -m backend sync`, `report` and `export`."""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from backend.agreement.export import ExportError, export
from backend.agreement.figures import measure_agreement
from backend.agreement.filters import NAMES, FilterError, filters_from
from backend.agreement.queries import AgreementQueries
from backend.agreement.report import render
from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters
from backend.verdicts.sync import sync


class CannotDo(RuntimeError):
    """What was asked for cannot be done; one line that says why."""


def pull(settings: Settings, project: str | None) -> int:
    """Sync and say what it brought.

    Returns:
        0 where every project could be pulled, else 1.
    """
    with _database(settings) as database:
        pulled = sync(settings, database, project)
    if not pulled:
        print(f"No project {project or ''} is known: Label Studio has not called /setup yet.")
    for each in pulled:
        if each.problem:
            print(f"Project {each.project_uid}: not pulled: {each.problem}")
        else:
            print(
                f"Project {each.project_uid}: {each.annotations} annotations, of which "
                f"{each.added} were not known; {each.retracted} are deleted"
            )
    return 1 if not pulled or any(each.problem for each in pulled) else 0


def write_report(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write the page to a file."""
    filters = _filters(arguments)
    with _database(settings) as database:
        Recorder(settings, database).drain()
        page = render(settings, database, filters)
    with _written(arguments.out) as file:
        file.write(page.encode())
    print(f"Written: {arguments.out}")
    return 0


def write_export(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write an export to a file or to standard output, piece by piece."""
    filters = _filters(arguments)
    with _database(settings) as database:
        Recorder(settings, database).drain()
        try:
            made = export(
                AgreementQueries(database),
                arguments.format,
                arguments.what,
                filters,
                lambda: measure_agreement(database, filters).as_json(),
            )
        except ExportError as error:
            raise CannotDo(str(error)) from None
        with _written(arguments.out) as file:
            for piece in made.pieces:
                file.write(piece)
    return 0


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    prepare_database(settings)
    database = Database(settings.database)
    try:
        yield database
    finally:
        database.close()


def _filters(arguments: argparse.Namespace) -> Filters:
    try:
        return filters_from({name: getattr(arguments, name) for name in NAMES})
    except FilterError as error:
        raise CannotDo(str(error)) from None


@contextlib.contextmanager
def _written(path: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that is there only when all of it was written."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CannotDo(f"expected to write {path}, but: {error.strerror}") from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
