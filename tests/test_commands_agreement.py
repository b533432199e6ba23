"""The commands `report`, `export` and `sync`, on a database with nothing in it."""

import os
from pathlib import Path

import pytest

from backend.__main__ import main


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return tmp_path


def test_a_report_is_written_to_its_file(tmp_path, capsys):
    page = tmp_path / "report.html"
    assert main(["report", "--out", str(page), "--label", "nose"]) == 0
    assert capsys.readouterr().out == f"Written: {page}\n"
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("options", "beginning"),
    [
        (["--format", "csv"], b"\xef\xbb\xbfproject_uid,task_id"),
        (["--format", "csv", "--what", "statistics"], b"\xef\xbb\xbfdimension,name"),
        (["--format", "csv", "--excel"], b"\xef\xbb\xbfproject_uid,task_id"),
        (["--format", "coco"], b"{"),
        (["--format", "coco", "--one-per-image"], b"{"),
    ],
)
def test_an_export_is_written_to_its_file(options, beginning, tmp_path):
    file = tmp_path / "export"
    assert main(["export", *options, "--out", str(file)]) == 0
    assert file.read_bytes().startswith(beginning)


def test_an_option_that_belongs_to_another_format_is_refused(tmp_path, capsys):
    file = tmp_path / "export"
    assert main(["export", "--format", "coco", "--excel", "--out", str(file)]) != 0
    assert "expected excel with the format csv, got it with coco" in capsys.readouterr().err
    assert not file.exists()


@pytest.mark.parametrize("command", [["report"], ["export", "--format", "csv"]])
def test_a_file_that_cannot_be_written_is_reported_in_one_line(command, tmp_path, capsys):
    assert main([*command, "--out", str(tmp_path / "missing" / "file")]) == os.EX_CONFIG
    said = capsys.readouterr().err
    assert said.startswith(f"expected to write {tmp_path}/missing/file")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "which"), [([], "any project"), (["--project", "3"], "project 3")]
)
def test_a_sync_without_a_project_says_so(options, which, capsys):
    assert main(["sync", *options]) == 1
    assert f"has not called /setup for {which} yet" in capsys.readouterr().out
