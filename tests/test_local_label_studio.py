"""Starting and watching Label Studio, with a small program in its place."""

import json
import sys
from pathlib import Path

import pytest
from loopback_server import as_json, loopback_server

from backend.local import label_studio
from backend.local.label_studio import LocalLabelStudio, free_port, running

TOKEN = "0123456789abcdef0123456789abcdef01234567"

# Answers as Label Studio does, and writes down its environment.
ANSWERS = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        given = self.headers.get("Authorization")
        known = given == f"Token {os.environ['LABEL_STUDIO_USER_TOKEN']}"
        self.send_response(200 if self.path == "/health" or known else 401)
        self.end_headers()
with open(os.path.join(os.environ["HOME"], "environment.json"), "w") as file:
    json.dump(dict(os.environ), file)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer((sys.argv[sys.argv.index("--internal-host") + 1], port), Handler).serve_forever()
"""  # noqa: E501
SLEEPS = "import time; time.sleep(600)"


def program(folder: Path, code: str) -> Path:
    """Make an executable of that code."""
    path = folder / "label-studio"
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)
    return path


def test_it_is_ready_when_it_knows_its_first_user_and_ends_with_the_block(tmp_path, monkeypatch):
    """A setting of ours would reach Label Studio under the same name."""
    monkeypatch.setenv("HOST", "http://elsewhere")
    monkeypatch.setenv("DEBUG", "true")
    executable, port = program(tmp_path, ANSWERS), free_port()
    with running(executable, tmp_path / "data", port=port, token=TOKEN) as studio:
        studio.wait_until_ready()
        studio.expect_alive()
        assert studio.url == f"http://127.0.0.1:{port}"
    assert studio.process.poll() is not None
    seen = json.loads((tmp_path / "data" / "environment.json").read_text())
    assert seen["HOST"] == studio.url
    assert "DEBUG" not in seen


def refused(studio: LocalLabelStudio) -> str:
    with pytest.raises(RuntimeError) as caught:
        studio.wait_until_ready()
    return str(caught.value)


def test_one_that_ends_is_said_with_its_log(tmp_path):
    executable = program(tmp_path, "print('no database'); raise SystemExit(1)")
    with running(executable, tmp_path, port=free_port(), token=TOKEN) as studio:
        assert f"but it has ended; see {studio.log}" in refused(studio)
    assert studio.log.read_text() == "no database\n"


def test_one_that_never_answers_is_given_up_with_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr(label_studio, "_START_SECONDS", 0.1)
    with running(program(tmp_path, SLEEPS), tmp_path, port=free_port(), token=TOKEN) as studio:
        assert f"within 0 s; see {studio.log}" in refused(studio)


def test_another_label_studio_on_the_port_is_told_from_the_one_that_was_started(tmp_path):
    def handle(request, _):
        return as_json({}, 200 if request.path == "/health" else 401)

    with (
        loopback_server(handle) as other,
        running(program(tmp_path, SLEEPS), tmp_path, port=other.port, token=TOKEN) as studio,
    ):
        assert "does not know its user (status 401): stop the one that runs there" in refused(
            studio
        )


def test_without_the_program_it_is_said_how_to_get_it(tmp_path):
    missing = tmp_path / "label-studio"
    with (
        pytest.raises(RuntimeError, match=r"expected Label Studio at .*make demo"),
        running(missing, tmp_path, port=free_port(), token=TOKEN),
    ):
        pass
