"""The doctor's checks of the folder that holds database, Redis and models."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backend.commands.doctor_results import CheckResult, ok, problem
from backend.settings import Settings

# A training of a large network writes hundreds of MiB.
LEAST_FREE_BYTES = 1 << 30
MOUNTS = Path("/proc/mounts")
# SQLite's locks and Redis' socket cannot be relied on there.
NETWORK_KINDS = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"),
    *("beegfs", "gpfs", "davfs", "ncpfs", "fuse.sshfs", "fuse.glusterfs", "fuse.davfs2"),
    *("fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.ceph", "virtiofs"),
)


def check_data_folder(settings: Settings) -> Iterator[CheckResult]:
    """Check that files can be created in the data folder, and go on being so."""
    folder = settings.data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            yield ok("Data folder", f"{folder} is writable")
    except OSError as error:
        yield problem(
            "Data folder",
            f"{folder} is not writable ({error.strerror}): set DATA_DIR to a folder that is, or "
            "give it to the user that runs the backend",
        )
        return
    yield from _check_share(settings, folder)
    folders = {folder, settings.models_folder.absolute()}
    yield from _check_space(sorted(each for each in folders if each.is_dir()))


def _check_share(settings: Settings, folder: Path) -> Iterator[CheckResult]:
    share = network_share(folder)
    if share is not None and (settings.database_url is None or settings.redis_url is None):
        yield problem(
            "Data folder",
            f"{folder} is on a network share ({share}), where SQLite and Redis lose data: set "
            "DATA_DIR to a local disk, or DATABASE_URL and REDIS_URL to servers",
        )


def _check_space(folders: list[Path]) -> Iterator[CheckResult]:
    for folder in folders:
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE_BYTES:
            yield problem(
                "Disk",
                f"{folder} has {free >> 20} MiB left, and {LEAST_FREE_BYTES >> 20} MiB are "
                "expected: free space, or set DATA_DIR and MODELS_DIR to a larger disk",
            )
            return


def network_share(folder: Path) -> str | None:
    """Return the kind of the network file system that a folder is on; None for a local one."""
    best: tuple[int, str] = (-1, "")
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return None  # not Linux
    resolved = folder.resolve()
    for line in lines:
        _, place, kind, *_ = line.split(" ")
        mounted = Path(place.encode().decode("unicode_escape"))
        if resolved.is_relative_to(mounted) and len(mounted.parts) >= best[0]:
            best = (len(mounted.parts), kind)
    return best[1] if best[1] in NETWORK_KINDS else None
