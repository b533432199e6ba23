"""Keep files readable by their owner alone: the database holds tokens, and weights hold data."""

import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path

logger = logging.getLogger(__name__)

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create_files_privately() -> None:
    """Let this process and those that it starts make files for their owner alone."""
    os.umask(OTHERS)


def close_to_others(paths: Iterable[Path]) -> None:
    """Take from everyone but the owner the rights to files and folders that exist and are ours."""
    closed = [path for path in paths if _close(path)]
    if closed:
        names = ", ".join(map(str, closed[:3])) + (", ..." if len(closed) > 3 else "")
        logger.warning("Other users of this machine could read %s; now they cannot", names)


def _close(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    is_ours = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode)
    if not is_ours or not found.st_mode & OTHERS:
        return False
    path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
    return True
