import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rq import Queue, Worker

from backend.__main__ import main
from backend.suggestions.queue import NAME

ROOT = Path(__file__).parent.parent


def backend(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_command_says_what_it_is_for(capsys):
    with pytest.raises(SystemExit) as ending:
        main(["--help"])
    assert ending.value.code == 0
    said = capsys.readouterr().out
    for command in ("serve", "web", "worker", "demo", "doctor", "prelabel"):
        assert re.search(rf"^    {command} +\w+", said, re.MULTILINE)


def test_wrong_settings_are_reported_together_before_anything_starts(tmp_path):
    result = backend(
        "serve", PORT="none", THREADS="0", BASIC_AUTH_USER="me", DATA_DIR=str(tmp_path / "data")
    )
    assert result.returncode == os.EX_CONFIG
    for name in ("PORT", "THREADS", "BASIC_AUTH_PASS"):
        assert name in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()


def test_weights_that_are_not_there_are_named_before_anything_starts(tmp_path):
    result = backend(
        "serve", MODEL_WEIGHTS=str(tmp_path / "missing.pth"), DATA_DIR=str(tmp_path / "data")
    )
    assert result.returncode == os.EX_CONFIG
    assert str(tmp_path / "missing.pth") in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_process_alone_says_that_it_needs_the_address_of_a_redis(command, tmp_path):
    result = backend(command, DATA_DIR=str(tmp_path))
    assert result.returncode == os.EX_CONFIG
    assert "REDIS_URL" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_machine_with_a_living_worker_is_told_from_one_without(redis_connection, redis_url):
    assert backend("worker", "--check", REDIS_URL=redis_url).returncode == 1
    worker = Worker([Queue(NAME, connection=redis_connection)], connection=redis_connection)
    worker.register_birth()

    result = backend("worker", "--check", REDIS_URL=redis_url)

    assert result.returncode == 0
    assert worker.name in result.stdout
