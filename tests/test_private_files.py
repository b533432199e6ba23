"""Files that hold tokens or data are readable by their owner alone."""

import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backend.database.connection import Database
from backend.database.prepare import prepare_database
from backend.private_files import close_to_others
from backend.settings import Settings

ROOT = Path(__file__).parent.parent


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_new_database_is_readable_by_its_owner_alone(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data")
    prepare_database(settings)
    database = Database(settings.database)
    with database.reading():  # SQLite's other two files exist while it is open
        files = list((tmp_path / "data").glob("backend.sqlite3*"))
        assert len(files) == 3
        assert {mode(file) for file in files} == {0o600}
    database.close()


def test_files_of_an_earlier_version_are_closed_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    settings = Settings(data_dir=tmp_path)
    prepare_database(settings)
    for folder in ("redis", "models", "models/training-3.1"):
        (tmp_path / folder).mkdir()
    files = ["backend.sqlite3", "models/3.1-1.safetensors", "models/3.1-1.json"]
    for name in files:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    with caplog.at_level(logging.WARNING):
        prepare_database(settings)
    assert {mode(tmp_path / name) for name in files} == {0o600}
    assert {mode(tmp_path / name) for name in ("redis", "models/training-3.1")} == {0o700}
    assert caplog.text.count("Other users of this machine could read") == 1
    caplog.clear()
    prepare_database(settings)
    assert caplog.text == ""


def test_what_is_not_ours_or_only_a_link_stays_as_it_is(tmp_path: Path):
    theirs = tmp_path / "theirs"
    theirs.touch()
    theirs.chmod(0o644)
    link = tmp_path / "link"
    link.symlink_to(theirs)
    close_to_others([link, tmp_path / "missing"])
    assert mode(theirs) == 0o644
    if os.geteuid() == 0:  # only root can give a file away
        os.chown(theirs, 65534, 65534)
        close_to_others([theirs])
        assert mode(theirs) == 0o644


@pytest.mark.parametrize(
    "call",
    [
        "backend.web.server import run as start",
        "backend.workers.training_worker import run_trainer as start",
        "backend.workers.detection_worker import run_worker as start",
        "backend.commands.serve import run_all as start",
    ],
)
def test_every_process_that_writes_makes_its_files_for_their_owner(call: str, tmp_path: Path):
    """Started without what it needs, it has set its umask all the same, which trainings inherit."""
    code = (
        f"import os\nfrom {call}\nfrom backend.settings import Settings\n"
        "try:\n    start(Settings(host='nowhere.invalid'))\nexcept Exception:\n    pass\n"
        "print(oct(os.umask(0)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stdout.splitlines()[-1:] == ["0o77"], ended.stderr
