"""Settings are checked, and the version changes whenever the result may change."""

import re
from dataclasses import fields, replace

import pytest

from model.maps import table
from model.settings import DEFAULT, POSTER, DetectorSettings, choices, model_version, version_name

# Another valid value for every setting.
OTHERS = {
    "input_size": 96,
    "resize": "pad",
    "window": 24,
    "stride": 4,
    "fills": 2,
    "seed": 1,
    "coarse": "occlusion",
    "coarse_score": "log-odds",
    "activation_stride": 8,
    "fine": "guided",
    "corner_scale": 1.0,
    "combination": "sum",
    "region": "none",
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


MIXED = replace(
    DEFAULT,
    coarse="occlusion",
    fine="guided",
    precision="bfloat16",
    corner_scale=0.5,
    input_size=96,
)


@pytest.mark.parametrize(
    ("settings", "of_torchvision", "of_a_file"),
    [
        (DEFAULT, "squeezenet1_1-70f43a8934", "vgg19-fc4976b653"),
        (POSTER, "squeezenet1_1-69ee604632", "vgg19-34a5e9c3e9"),
        (replace(POSTER, max_keypoints=20), "squeezenet1_1-48b7e8cbe2", "vgg19-1c87dc37d2"),
        (MIXED, "squeezenet1_1-fa2dd5e997", "vgg19-5bf3e7af88"),
    ],
    ids=["default", "poster", "poster with a limit", "mixed"],
)
def test_versions_stay_as_they_are_for_the_same_settings(settings, of_torchvision, of_a_file):
    """The values are of an older state: another one would have every image predicted again."""
    assert model_version("squeezenet1_1", "IMAGENET1K_V1", settings) == of_torchvision
    assert version_name("vgg19", "ab" * 32, settings) == of_a_file


def with_raised_version(monkeypatch, name):
    rows = (replace(row, version=2) if row.name == name else row for row in table.MAPS)
    monkeypatch.setattr(table, "MAPS", tuple(rows))


def test_a_maps_later_version_changes_the_models_that_use_it_and_no_other(monkeypatch):
    before = {settings: version_name("a", "ab", settings) for settings in (DEFAULT, POSTER)}
    with_raised_version(monkeypatch, "corners")
    assert version_name("a", "ab", DEFAULT) != before[DEFAULT]
    assert version_name("a", "ab", POSTER) == before[POSTER]


def test_a_map_that_only_finds_the_region_counts_as_used(monkeypatch):
    settings = replace(POSTER, region="activation")
    before = [version_name("a", "ab", each) for each in (settings, POSTER)]
    with_raised_version(monkeypatch, "activation")
    after = [version_name("a", "ab", each) for each in (settings, POSTER)]
    assert after[0] != before[0] and after[1] == before[1]


def test_the_default_preset_is_what_the_settings_are_without_arguments():
    assert DetectorSettings() == DEFAULT


@pytest.mark.parametrize("field", fields(DetectorSettings), ids=lambda field: field.name)
def test_every_setting_says_what_it_means_in_one_line(field):
    text = field.metadata["help"]
    assert 10 < len(text) < 110 and "\n" not in text and not text.endswith(".")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("coarse", ("occlusion", "activation")),
        ("fine", ("guided", "corners")),
        ("resize", ("squash", "pad")),
        ("subpixel", ()),
        ("max_keypoints", ()),
    ],
)
def test_settings_with_named_values_list_them(name, values):
    assert choices(name) == values


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"stride": 17}, "1 <= stride <= window"),
        ({"keep": 0}, "0 < keep <= 1"),
        ({"keep": float("nan")}, "0 < keep <= 1"),
        ({"coarse_weight": 0, "fine_weight": 0}, "not both 0"),
        ({"max_keypoints": 0}, "max_keypoints"),
        ({"resize": "crop"}, "resize is squash or pad"),
        ({"coarse": "corners"}, "coarse is occlusion or activation"),
        ({"fine": "occlusion"}, "fine is guided or corners"),
        ({"input_size": 8}, "at least 32"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(wrong, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        DetectorSettings(**wrong)


def test_all_settings_out_of_range_are_named_together():
    with pytest.raises(ValueError, match=r"fills.*nms_radius"):
        DetectorSettings(fills=0, nms_radius=2)
