"""What a hosted process says where it cannot be assembled."""

import subprocess
import sys
from pathlib import Path

import pytest
from serving import PLAIN_ENVIRONMENT, ROOT

ASSEMBLE = "from backend.hosts.hosted_contract import hosted_contract; hosted_contract()"
REDIS = {"REDIS_URL": "redis://127.0.0.1:1/0"}
STUDIO = {"LABEL_STUDIO_URL": "http://127.0.0.1:8080"}


def assemble(folder: Path, weights: Path, **variables: str) -> str:
    """The error, in the last line."""
    ended = subprocess.run(
        [sys.executable, "-c", ASSEMBLE],
        cwd=ROOT,
        env=PLAIN_ENVIRONMENT
        | {"DATA_DIR": str(folder), "MODEL_WEIGHTS": str(weights)}
        | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ended.stderr.strip().splitlines()[-1] if ended.stderr else ""


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (REDIS, "SettingsError: LABEL_STUDIO_URL"),
        (STUDIO, "SettingsError: REDIS_URL"),
        (REDIS | STUDIO | {"PORT": "x"}, "PORT"),
        (REDIS | STUDIO | {"MODEL_WEIGHTS": "nowhere.pth"}, "nowhere.pth"),
        (
            REDIS | STUDIO | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
            "DatabaseUnusable: expected to open the database of DATABASE_URL",
        ),
    ],
    ids=["no Label Studio", "no Redis", "wrong setting", "no weights", "no database"],
)
def test_it_says_what_is_missing(
    variables: dict[str, str], said: str, tmp_path: Path, unread_weights: Path
) -> None:
    assert said in assemble(tmp_path, unread_weights, **variables)


def test_it_needs_neither_a_database_that_is_prepared_nor_a_redis_that_answers(
    tmp_path: Path, unread_weights: Path
) -> None:
    assert assemble(tmp_path, unread_weights, **REDIS, **STUDIO) == ""
    assert (tmp_path / "backend.sqlite3").exists()
