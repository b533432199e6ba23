"""The command that writes drawings as a data set."""

import csv

import pytest

from drawings.__main__ import main
from drawings.drawing import draw
from model.decoding import read


def test_the_command_writes_the_drawings_of_a_series_in_two_splits(tmp_path):
    options = ["--count", "8", "--seed", "3", "--size", "64", "48", "--test-share", "0.5"]
    assert main(["write", str(tmp_path / "set"), *options]) == 0
    with (tmp_path / "set" / "annotations.csv").open(newline="") as file:
        splits = {row["image"]: row["split"] for row in csv.DictReader(file)}
    assert list(splits.values()) == ["train"] * 4 + ["test"] * 4
    fifth = read(tmp_path / "set" / list(splits)[5])
    assert (fifth == draw(5, (64, 48), seed=3).image).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "5"], "expected at least 6 drawings, one a class, got 5"),
        ([], "Missing option '--count'"),
        (["--count", "8", "--size", "8", "64"], "8 is not in the range x>=16"),
    ],
)
def test_a_mistake_is_reported_in_one_line_and_nothing_is_written(
    options, message, tmp_path, capsys
):
    assert main(["write", str(tmp_path / "set"), *options]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
    assert not (tmp_path / "set").exists()
