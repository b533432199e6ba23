"""A backup: one archive with a copy of the database and the weights of all trained models.

The copy is an SQLite file, whichever database it was made of, so that a backup of either kind can
be restored into either kind, and looked into with any SQLite browser.
"""

import gzip
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from backend.database.connection import Database, now
from backend.labelstudio.token_storage import forget_tokens
from backend.upkeep.backup_storage import (
    copy_tables,
    empty,
    restore_tables,
    snapshot,
    weights_files,
)
from model.weights_files import sidecar

FORMAT = 1
DATABASE, MANIFEST, MODELS = "database.sqlite3", "manifest.json", "models/"


class BackupUnreadable(RuntimeError):
    """The file is no backup, is damaged or of a newer program; the message says which."""


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """What a backup holds.

    Attributes:
        made_at: in UTC, ISO 8601.
        rows: of each table.
        digests: SHA-256 of each file of the archive but this summary.
        missing: weights files that the database names and nobody found.
    """

    made_at: str
    rows: Mapping[str, int]
    digests: Mapping[str, str]
    missing: tuple[str, ...]
    format: int = FORMAT


def write_backup(
    database: Database, models_folder: Path, output: IO[bytes], *, with_tokens: bool = False
) -> BackupSummary:
    """Write a backup of one moment, while others go on writing.

    Args:
        database: with the newest tables.
        models_folder: of the weights files.
        output: gets a tar archive, compressed by gzip.
        with_tokens: keep the tokens that `/setup` has brought.
    """
    made_at = now().isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        rows, names = _copy(database, path, with_tokens=with_tokens)
        files = {DATABASE: path}
        missing = []
        for name in names:
            weights = models_folder / name
            if weights.is_file():
                found = [each for each in (weights, sidecar(weights)) if each.is_file()]
                files |= {f"{MODELS}{each.name}": each for each in found}
            else:
                missing.append(name)
        digests = {name: _digest(each) for name, each in files.items()}
        summary = BackupSummary(made_at, rows, digests, tuple(missing))
        described = Path(folder) / MANIFEST
        described.write_text(json.dumps(asdict(summary), indent=2))
        with (
            gzip.GzipFile(fileobj=output, mode="wb", compresslevel=3) as packed,
            tarfile.open(fileobj=packed, mode="w|") as archive,
        ):
            for name, each in {MANIFEST: described, **files}.items():
                archive.add(each, arcname=name, filter=_without_owner)
    return summary


def _copy(database: Database, path: Path, *, with_tokens: bool) -> tuple[dict[str, int], list[str]]:
    """Copy a database into a new SQLite file; also return the names of its weights files."""
    copy = Database(f"sqlite:///{path}")
    try:
        copy.migrate()
        with snapshot(database) as source, copy.writing() as target:
            empty(target)
            rows, names = copy_tables(source, target), weights_files(source)
        if not with_tokens:
            forget_tokens(copy)
        copy.shrink()
    finally:
        copy.close()
    return rows, names


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def restore_backup(
    path: Path, database: Database, models_folder: Path, *, overwrite: bool
) -> BackupSummary:
    """Restore a backup into a database, and its weights files into their folder.

    Args:
        database: with the newest tables.
        overwrite: delete what the database holds.

    Raises:
        BackupUnreadable: the file is no backup, or damaged.
        DatabaseNotEmpty: the database holds something, and must not be overwritten.
        StorageError: a newer version of the program has made the backup.
    """
    with _unpacked(path) as (folder, summary):
        copy = Database(f"sqlite:///{folder / DATABASE}")
        try:
            copy.migrate()  # an earlier version may have made it
            with snapshot(copy) as source:
                restore_tables(source, database, overwrite=overwrite)
        finally:
            copy.close()
        models_folder.mkdir(parents=True, exist_ok=True)
        for name in summary.digests:
            if name.startswith(MODELS):
                _move(folder / name, models_folder / Path(name).name)
    return summary


@contextmanager
def _unpacked(path: Path) -> Iterator[tuple[Path, BackupSummary]]:
    """Unpack an archive into a folder that ends with the block, and check every file of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with tarfile.open(path, "r:gz") as archive:
                archive.extractall(folder, filter="data")
            facts = json.loads((folder / MANIFEST).read_text())
            summary = BackupSummary(**{**facts, "missing": tuple(facts["missing"])})
            digests = {each: _digest(folder / each) for each in summary.digests}
        except (OSError, EOFError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise BackupUnreadable(
                f"expected a backup in {path}, but it cannot be read ({error}): give a file that "
                "`python -m backend backup` has written"
            ) from error
        if summary.format != FORMAT or digests != summary.digests:
            raise BackupUnreadable(
                f"expected {path} to be as it was written, but its content has changed: use "
                "another copy of it"
            )
        yield folder, summary


def _move(source: Path, target: Path) -> None:
    """Put a file in its place as a whole."""
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(source.read_bytes())
    part.replace(target)
