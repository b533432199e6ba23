from pathlib import Path

import pytest

from backend.commands.output_file import OutputNotWritable, output_file


def test_a_file_appears_when_it_is_complete(tmp_path: Path):
    path = tmp_path / "verdicts.csv"
    with output_file(path) as file:
        file.write(b"one")
        assert not path.exists()
        file.write(b"two")
    assert path.read_bytes() == b"onetwo"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_could_not_be_completed_leaves_the_old_one(tmp_path: Path):
    path = tmp_path / "verdicts.csv"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), output_file(path) as file:
        file.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_named(tmp_path: Path):
    path = tmp_path / "missing" / "verdicts.csv"
    with pytest.raises(OutputNotWritable, match=f"expected to write {path}"), output_file(path):
        pass


def test_without_a_name_it_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]):
    with output_file(None) as file:
        file.write(b"verdicts")
    assert capfdbinary.readouterr().out == b"verdicts"
