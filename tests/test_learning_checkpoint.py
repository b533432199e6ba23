"""The state of a training on disk."""

import pytest
import torch

from model.learning import checkpoint

CPU = torch.device("cpu")
STATE = {"network": {"weight": torch.arange(3.0)}, "history": [{"number": 1, "loss": 0.5}]}


def test_what_is_written_is_read_and_nothing_else_stays(tmp_path):
    path = tmp_path / "folder" / "state.training"
    checkpoint.write(path, STATE)
    found = checkpoint.read(path, CPU)
    assert found is not None and found["history"] == STATE["history"]
    torch.testing.assert_close(found["network"], STATE["network"])
    assert list(path.parent.iterdir()) == [path]


def test_without_a_file_there_is_no_state(tmp_path):
    assert checkpoint.read(tmp_path / "state.training", CPU) is None


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", b"no checkpoint"])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path, damage):
    path = tmp_path / "state.training"
    path.write_bytes(damage)
    with pytest.raises(ValueError, match=r"state\.training, found a damaged .* delete it"):
        checkpoint.read(path, CPU)


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "state.training"
    checkpoint.write(path, STATE)
    before = path.read_bytes()
    with pytest.raises((TypeError, AttributeError)):
        checkpoint.write(path, {"network": lambda: None})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
