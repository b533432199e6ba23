"""The doctor's check of the database: reachable, whole, writable, of this version, right clock."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.commands.doctor_clock import check_clock
from backend.commands.doctor_results import CheckResult, note, ok, problem
from backend.database.connection import Database, SchemaVersions, StorageError
from backend.database.faults import fault_of
from backend.database.prepare import check_pages
from backend.settings import Settings
from backend.upkeep.storage import DeploymentStorage

DAMAGE_SECONDS = 30.0  # how long damaged pages are looked for


def check_database(settings: Settings) -> Iterator[CheckResult]:
    """Check that the database can be used, and has the tables of this version."""
    url = make_url(settings.database)
    name = "DATABASE_URL" if settings.database_url else f"{url.database}"
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        yield note("Database", f"{name} is created at the first start")
        return
    try:
        database = Database(settings.database)
        try:
            check_pages(database, seconds=DAMAGE_SECONDS)
            database.expect_writable()
            yield _check_versions(name, database.versions())
            moment = DeploymentStorage(database).clock()
        finally:
            database.close()
    except (SQLAlchemyError, OSError) as error:
        yield problem("Database", f"{name} cannot be used: {fault_of(error)}")
        return
    except StorageError as error:
        yield problem("Database", f"{name} cannot be used: {error}")
        return
    if moment is not None:
        yield from check_clock("the server of the database", moment)


def _check_versions(name: str, versions: SchemaVersions) -> CheckResult:
    found = ", ".join(sorted(versions.found)) or "none"
    newest = ", ".join(sorted(versions.newest))
    if versions.found == versions.newest:
        return ok("Database", f"{name} answers, and its tables are up to date")
    if versions.found - versions.known:
        return problem(
            "Database",
            f"{name} has tables of version {found}, but the newest that this program knows is "
            f"{newest}: a newer version of the program has used it; start that version, or set "
            "another DATABASE_URL or DATA_DIR",
        )
    return problem(
        "Database",
        f"{name} has tables of version {found}, this program has {newest}: start "
        "`python -m backend serve` (or web or worker), which updates them",
    )
