"""`python -m backend` as a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rq import Queue, Worker
from serving import PLAIN_ENVIRONMENT

from backend.__main__ import COMMANDS, main
from backend.suggestions.queue import NAME
from backend.training.queue import TRAINING_QUEUE

ROOT = Path(__file__).parent.parent


def backend(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        cwd=ROOT,
        env=PLAIN_ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_command_says_what_it_is_for(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for command in COMMANDS:
        line = re.search(rf"^  {command} +(\w.*)", said, re.MULTILINE)
        assert line is not None
        assert line[1].endswith("."), "cut off: its first sentence is too long"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_is_for(command, capsys):
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    *_, options = said.partition("Options:\n")
    for option in re.findall(r"^  (--[^\n]*(?:\n {4,}[^\n]*)*)", options, re.MULTILINE):
        assert re.search(r"  \S.*\S", option, re.DOTALL), option


@pytest.mark.parametrize("command", ["--help", "web", "trainer", "doctor", "export"])
def test_only_the_worker_loads_torch(command):
    code = (
        "import sys; from backend.__main__ import main; "
        f"main([{command!r}, '--help']); "
        "print([name for name in ('torch', 'torchvision') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == "[]", ended.stderr


def test_without_a_command_they_are_listed():
    result = backend()
    assert result.returncode == 2
    assert "prelabel" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["wroker"], "No such command 'wroker'"),
        (["train"], "Missing option '--project'"),
        (["train", "--project", "1", "--epochs", "0"], "'--epochs': 0 is not in the range x>=1"),
        (["prelabel", "--project", "x"], "'x' is not a valid integer"),
        (["export", "--format", "yaml"], "'yaml' is not one of"),
        (["export", "--format", "coco", "--what", "statistics"], "leave it out for coco"),
        (["export", "--format", "csv", "--project", "x"], "expected project to be its number"),
        (["report", "--out", "page.html", "--since", "x"], "expected since to be a day"),
    ],
)
def test_wrong_usage_is_named_before_anything_happens(arguments, expected, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert expected in said
    assert (
        f"Try 'python -m backend{'' if arguments == ['wroker'] else ' ' + arguments[0]} --help'"
        in said
    )


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


def test_an_environment_without_label_studio_ml_is_named_before_anything_starts(tmp_path):
    result = backend(
        "serve", "--label-studio-ml", str(tmp_path / "none"), DATA_DIR=str(tmp_path / "data")
    )
    assert result.returncode == os.EX_CONFIG
    assert str(tmp_path / "none") in result.stderr
    assert "make label-studio-ml" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["web", "worker", "trainer"])
def test_a_process_alone_says_that_it_needs_the_address_of_a_redis(command, tmp_path):
    result = backend(command, DATA_DIR=str(tmp_path))
    assert result.returncode == os.EX_CONFIG
    assert "REDIS_URL" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["worker", "trainer"])
def test_a_worker_without_its_database_ends_so_that_it_is_started_again(
    command, tmp_path, redis_url
):
    """`serve` restarts it, as the database may be back then."""
    result = backend(command, REDIS_URL=redis_url, DATABASE_URL=f"sqlite:///{tmp_path}")
    assert result.returncode == os.EX_UNAVAILABLE
    assert result.stderr.startswith("expected to open the database of DATABASE_URL")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "prelabel"])
def test_without_an_address_of_label_studio_a_command_says_what_to_set(command, tmp_path):
    result = backend(command, "--project", "1", DATA_DIR=str(tmp_path))
    assert result.returncode == os.EX_CONFIG
    assert result.stderr == (
        "expected the address of Label Studio, but LABEL_STUDIO_URL is not set: set it, with "
        "LABEL_STUDIO_API_KEY\n"
    )


@pytest.mark.parametrize("command", ["train", "prelabel"])
def test_a_label_studio_that_does_not_answer_is_reported_in_one_line(command, tmp_path):
    result = backend(
        command, "--project", "1", DATA_DIR=str(tmp_path), LABEL_STUDIO_URL="http://127.0.0.1:1"
    )
    assert result.returncode == os.EX_CONFIG
    assert result.stderr.startswith("expected Label Studio to answer at http://127.0.0.1:1")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("command", "queue"), [("worker", NAME), ("trainer", TRAINING_QUEUE)])
def test_the_check_of_a_worker_succeeds_only_if_one_is_alive_here(
    command, queue, redis_connection, redis_url
):
    assert backend(command, "--check", REDIS_URL=redis_url).returncode == 1
    worker = Worker([Queue(queue, connection=redis_connection)], connection=redis_connection)
    worker.register_birth()

    result = backend(command, "--check", REDIS_URL=redis_url)

    assert result.returncode == 0
    assert worker.name in result.stdout


@pytest.mark.parametrize(
    ("address", "expected"),
    [({}, "expected REDIS_URL"), ({"REDIS_URL": "redis://127.0.0.1:1"}, "Redis does not answer")],
    ids=["unknown", "away"],
)
def test_a_machine_whose_redis_cannot_be_asked_has_no_living_worker(address, expected):
    result = backend("worker", "--check", **address)
    assert result.returncode == 1
    assert result.stdout.startswith(expected)
