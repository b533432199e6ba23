"""The command that trains on drawings."""

import pytest

from drawings.__main__ import main
from model.networks import load_classifier

pytestmark = pytest.mark.usefixtures("one_thread")


def run(*arguments: object) -> int:
    return main(["train", *map(str, arguments)])


def test_the_command_trains_on_drawings(tmp_path, capsys):
    out = tmp_path / "drawings.safetensors"
    assert run("--count", 24, "--out", out, "--epochs", 1) == 0
    assert "trained on 4 bus, 4 estate, 4 hatchback, 4 pick-up, 4 saloon, 4 van" in (
        capsys.readouterr().out
    )
    assert len(load_classifier(weights=str(out)).classes) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--count", 0), "'--count': 0 is not in the range x>=1"),
        (("--count", 12, "--out", "weights.pth"), "ends in .safetensors as --out"),
        (("--count", 12, "--epochs", 0), "epochs, batch and patience are at least 1"),
        (("--count", 12, "--init", "nowhere.safetensors"), "expected a weights file at nowhere"),
        (("--count", 12, "--arch", "efficientnet_b0", "--init", "nothing"), "ReLU alone"),
    ],
)
def test_a_mistake_on_the_command_line_is_answered_in_one_line_with_what_was_expected(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    last_line = capsys.readouterr().err.splitlines()[-1]  # after the progress bar
    assert last_line.startswith("python -m drawings train: ")
    assert message in last_line
    assert list(tmp_path.iterdir()) == []
