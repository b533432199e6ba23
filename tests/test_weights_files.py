"""Which weights file is meant, and the JSON beside it."""

import json
from pathlib import Path

import pytest

from model.weights_files import resolve_model


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"weights")
    return path


def test_what_is_left_out_is_filled_in(weights):
    assert resolve_model(None, None) == ("squeezenet1_1", "IMAGENET1K_V1")
    assert resolve_model("vgg19", None) == ("vgg19", "IMAGENET1K_V1")
    weights.with_suffix(".json").write_text(json.dumps({"arch": "small"}))
    assert resolve_model(None, str(weights)) == ("small", str(weights))


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth, found none"):
        resolve_model("vgg19", str(tmp_path / "none.pth"))


def test_an_architecture_that_is_not_the_weights_own_is_refused(weights):
    weights.with_suffix(".json").write_text(json.dumps({"arch": "small"}))
    with pytest.raises(ValueError, match="weights are of small, but vgg19 was requested"):
        resolve_model("vgg19", str(weights))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{arch: small", "small.json is not JSON"),
        ('["small"]', "expected an object in .*small.json, got list"),
    ],
)
def test_a_malformed_json_beside_the_weights_is_named(tmp_path: Path, content: str, message: str):
    weights = tmp_path / "small.safetensors"
    weights.write_bytes(b"")
    (tmp_path / "small.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        resolve_model(None, str(weights))
