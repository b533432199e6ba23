"""The command `python -m studies agreement-benchmark`: time and memory of report and exports."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from backend.agreement.exports.formats import FORMATS
from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from studies.agreement_measure import Request
from studies.agreement_world import fill
from studies.annotation_log import PROJECT_UID
from studies.benchmark_report import processor
from studies.data_options import AT_LEAST_ONE
from studies.marked_section import around, put_into

SECTION = "of the agreement report"
REPEATS = 3  # of the same request in one process
PAGES = {"figures as JSON": "/agreement", "page": "/report"}
EXPORTS = {f"export {name}": f"/export?format={name}" for name in FORMATS} | {
    "export csv, statistics": "/export?format=csv&what=statistics"
}


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of what one kind of request took, over processes; see `Request`."""

    database: str
    what: str
    seconds: float
    processor: float
    repeated: float | None
    peak_mb: float
    answer_mb: float


def request_in_process(url: str, path: str, repeats: int) -> Request:
    """Measure a request in a process of its own, which is the web process of a database.

    Raises:
        ChildProcessError: the process failed; the message ends with its last line of stderr.
    """
    command = [sys.executable, "-m", "studies.agreement_measure", path, str(repeats)]
    # No Redis listens there, and no request of these needs one.
    settings = {"DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1", "LOG_LEVEL": "WARNING"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | settings
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ChildProcessError(
            f"expected a measurement of {path}, but its process ended with status "
            f"{done.returncode}: {reason}"
        )
    return Request(**json.loads(done.stdout.splitlines()[-1]))


def measure_database(url: str, rounds: int) -> Iterator[Row]:
    """Yield a row for each request: figures and page `rounds` times, exports once."""
    kind = "PostgreSQL" if url.startswith("postgres") else "SQLite"
    for paths, count, repeats in ((PAGES, rounds, REPEATS), (EXPORTS, 1, 0)):
        for what, path in paths.items():
            found = [request_in_process(url, path, repeats) for _ in range(count)]
            again = [seconds for each in found for seconds in each.repeated]
            yield Row(
                kind,
                what,
                median(each.seconds for each in found),
                median(each.processor for each in found),
                median(again) if again else None,
                median(each.peak_mb for each in found),
                found[-1].answer_mb,
            )


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| database | request | first, s | processor, s | repeated, s | peak MB | answer MB |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        again = "–" if row.repeated is None else f"{row.repeated:.3f}"
        yield (
            f"| {row.database} | {row.what} | {row.seconds:.2f} | {row.processor:.2f} | {again} "
            f"| {row.peak_mb:.0f} | {row.answer_mb:.2f} |"
        )


def report(rows: Sequence[Row], verdicts: int, rounds: int) -> str:
    """Return the results and the machine in Markdown."""
    facts = (
        f"Measured on {processor()}, {os.cpu_count()} cores, Python {platform.python_version()}: "
        f"{verdicts:,} verdicts about points. Figures and page: medians of {rounds} processes; "
        "exports: one."
    )
    return "\n".join([facts, "", *table(rows)])


@contextmanager
def _database_file(kept: Path | None) -> Iterator[Path]:
    """Return the file of the SQLite database: the one to keep, or one that is deleted."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="agreement-") as folder:
        yield Path(folder) / "agreement.sqlite3"


def prepare(url: str, verdicts: int) -> None:
    """Fill a database, unless it holds the project of an earlier run."""
    database = Database(url)
    try:
        database.migrate()
        if ProjectStorage(database).project(PROJECT_UID) is None:
            fill(database, verdicts)
    finally:
        database.close()


@click.command("agreement-benchmark")
@click.option(
    "--verdicts",
    type=AT_LEAST_ONE,
    default=1_000_000,
    show_default=True,
    metavar="N",
    help="Verdicts about points in the log.",
)
@click.option(
    "--rounds",
    type=AT_LEAST_ONE,
    default=3,
    show_default=True,
    metavar="N",
    help="Processes that answer the same request, each for the first time.",
)
@click.option(
    "--database",
    "kept",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="SQLite database to fill and keep; filled already, it is used again. Default: a new one.",
)
@click.option(
    "--url",
    metavar="URL",
    help="Measure an empty PostgreSQL database as well: postgresql://USER:PASSWORD@HOST/NAME.",
)
@click.option(
    "--report",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Put the table into this Markdown file, between the marks that it has for it.",
)
def agreement_benchmark(
    verdicts: int, rounds: int, kept: Path | None, url: str | None, path: Path | None
) -> None:
    """Measure time and memory of the agreement report and of the exports.

    Writes a log through the backend's own recorder, which takes minutes for a million verdicts.
    """
    if path:
        around(path, SECTION)  # raises now, not after some minutes
    rows: list[Row] = []
    with _database_file(kept) as file:
        for each in (f"sqlite:///{file.absolute()}", *([url] if url else [])):
            prepare(each, verdicts)
            rows += measure_database(each, rounds)
    text = report(rows, verdicts, rounds)
    print(text)
    if path:
        put_into(path, text, SECTION)
