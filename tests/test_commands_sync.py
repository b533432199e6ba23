"""The command `sync`, with a small Label Studio."""

import re
from pathlib import Path

import pytest
from loopback_server import Answer, Request, as_json, loopback_server
from verdict_data import CONFIG, MADE, UID, annotation, detection, predict

from backend.__main__ import main
from backend.database.connection import Database


@pytest.fixture
def regions(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, object]]:
    """The suggestions for one task of one project, in the database of the command."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return predict(database, 1, detection((10, 10)))


def test_each_project_has_a_line_with_its_counts(
    regions: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = annotation(1, regions)

    def handle(request: Request, _: object) -> Answer:
        if request.path.startswith("/api/projects/"):
            about = {"id": 3, "created_at": MADE.isoformat(), "title": "Cars"}
            return as_json(about | {"label_config": CONFIG, "task_number": 1})
        return as_json({"total": 1, "tasks": [{"id": 1, "annotations": [made]}]})

    with loopback_server(handle) as server:
        monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
        assert main(["sync"]) == 0
    line = f"Project {UID}: 1 annotations, 1 of them new; 0 were deleted\n"
    said = capsys.readouterr()
    assert said.out == line
    assert re.search(r"Pulling: 100%\|.*\| 1/1 \[[\d:]+<[\d:]+, .*task/s", said.err), said.err


def test_a_project_that_cannot_be_pulled_is_named_with_the_reason(
    regions: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:1")
    assert main(["sync", "--project", "3"]) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"Project {UID}: not pulled: ")
    assert "http://127.0.0.1:1" in line
