"""Settings out of range, and a version that changes whenever the result may."""

import json
import re
from dataclasses import fields, replace

import pytest

from model.settings import DetectorSettings, model_version, resolve_model

# Another valid value for every setting.
OTHERS = {
    "input_size": 96,
    "resize": "pad",
    "window": 24,
    "stride": 4,
    "fills": 2,
    "seed": 1,
    "coarse": "activation",
    "coarse_score": "log-odds",
    "activation_stride": 8,
    "fine": "corners",
    "corner_scale": 2.0,
    "combination": "product",
    "region": "activation",
    "region_threshold": 0.5,
    "region_margin": 0.0,
    "fine_colours": "mean",
    "coarse_weight": 0.5,
    "fine_weight": 2.0,
    "nms_radius": 0.1,
    "subpixel": False,
    "keep": 0.9,
    "max_keypoints": None,
    "min_score": 0.6,
    "precision": "bfloat16",
}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("name", [field.name for field in fields(DetectorSettings)])
def test_every_setting_changes_the_version(name):
    plain = DetectorSettings()
    other = replace(plain, **{name: OTHERS[name]})
    versions = {model_version("vgg19", "IMAGENET1K_V1", settings) for settings in (plain, other)}
    assert len(versions) == 2


def test_weights_their_json_and_the_architecture_change_the_version(weights):
    settings = DetectorSettings()
    versions = [model_version("vgg19", str(weights), settings)]
    weights.write_bytes(b"other weights")
    versions.append(model_version("vgg19", str(weights), settings))
    weights.with_suffix(".json").write_text("{}")
    versions.append(model_version("vgg19", str(weights), settings))
    weights.with_suffix(".json").write_text('{"classes": []}')
    versions.append(model_version("vgg19", str(weights), settings))
    versions.append(model_version("vgg16", str(weights), settings))
    versions.append(model_version("vgg16", "IMAGENET1K_V1", settings))
    assert len(set(versions)) == len(versions)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", version) for version in versions)


def test_the_place_of_the_weights_does_not_change_the_version(weights, tmp_path):
    copy = tmp_path / "elsewhere.safetensors"
    copy.write_bytes(weights.read_bytes())
    settings = DetectorSettings()
    assert model_version("a", str(weights), settings) == model_version("a", str(copy), settings)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"stride": 17}, "1 <= stride <= window"),
        ({"keep": 0}, "0 < keep <= 1"),
        ({"keep": float("nan")}, "0 < keep <= 1"),
        ({"coarse_weight": 0, "fine_weight": 0}, "not both 0"),
        ({"max_keypoints": 0}, "max_keypoints"),
        ({"resize": "crop"}, "squash or pad"),
        ({"input_size": 8}, "at least 32"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(wrong, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        DetectorSettings(**wrong)


def test_all_settings_out_of_range_are_named_together():
    with pytest.raises(ValueError, match=r"fills.*nms_radius"):
        DetectorSettings(fills=0, nms_radius=2)


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
    with pytest.raises(ValueError, match="weights are of small, but vgg19 was asked for"):
        resolve_model("vgg19", str(weights))
