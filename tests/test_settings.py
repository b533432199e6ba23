import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from backend.settings import Settings, SettingsError, load_settings
from model.settings import DEFAULT, DetectorSettings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the variables of the person who runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    yield


def test_nothing_set_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 9090)
    assert settings.detector_settings() == DEFAULT
    assert settings.model() == ("squeezenet1_1", "IMAGENET1K_V1")
    assert settings.database == f"sqlite:///{tmp_path}/data/backend.sqlite3"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch):
    """docker-compose passes on `${PORT:-}` as an empty string."""
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("REDIS_URL", "")
    settings = load_settings()
    assert settings.port == 9090
    assert settings.redis_url is None


def test_every_setting_of_the_detector_has_a_variable_with_the_same_default():
    ours = {name: field.default for name, field in Settings.model_fields.items()}
    of_detector = {field.name for field in fields(DetectorSettings)}
    assert {name for name in ours if name.startswith("detector_")} == {
        f"detector_{name}" for name in of_detector
    }
    for name in of_detector:
        assert ours[f"detector_{name}"] == getattr(DEFAULT, name)


def test_variables_reach_the_detector_and_the_model_version(monkeypatch: pytest.MonkeyPatch):
    before = load_settings().model_version()
    monkeypatch.setenv("DETECTOR_KEEP", "0.25")
    monkeypatch.setenv("DETECTOR_SUBPIXEL", "no")
    monkeypatch.setenv("DETECTOR_MAX_KEYPOINTS", "none")
    settings = load_settings()
    assert settings.detector_settings() == replace(
        DEFAULT, keep=0.25, subpixel=False, max_keypoints=None
    )
    assert settings.model_version() != before


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IMAGE_HOSTS", " images.example, Archive.example ,")
    assert load_settings().image_hosts == ("images.example", "archive.example")


def test_the_address_of_label_studio_loses_its_last_slash(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABEL_STUDIO_URL", "https://example.org/labels/")
    assert load_settings().label_studio_url == "https://example.org/labels"


def test_every_problem_is_reported_at_once(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "PORT": "ninety",
        "WORKERS": "0",
        "PREDICT_WAIT_ONE": "91",
        "LOG_LEVEL": "loud",
        "LABEL_STUDIO_URL": "localhost:8080",
        "BASIC_AUTH_USER": "anna",
        "DETECTOR_STRIDE": "99",
        "DETECTOR_KEPP": "0.5",
        "MODEL_WEIGHTS": "/nowhere/weights.safetensors",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    first, *lines = str(caught.value).splitlines()
    assert first == "9 settings are wrong:"
    message = "\n".join(lines)
    assert "PORT: expected a valid integer" in message
    assert "got 'ninety'" in message
    for expected in ("WORKERS", "PREDICT_WAIT_ONE", "LOG_LEVEL", "http://localhost:8080"):
        assert expected in message
    assert "BASIC_AUTH_PASS is not set" in message
    assert "1 <= stride <= window" in message
    assert "did you mean DETECTOR_KEEP?" in message
    assert "/nowhere/weights.safetensors" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://user:swordfish@redis"),
        ("DATABASE_URL", "mysql://user:swordfish@db/name"),
    ],
)
def test_a_password_is_not_repeated_in_the_message(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        load_settings()
    assert "swordfish" not in str(caught.value)


def test_secrets_are_not_shown_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "REDIS_URL": "redis://:swordfish@redis/0",
        "DATABASE_URL": "postgresql://user:swordfish@db/name",
        "LABEL_STUDIO_API_KEY": "swordfish",
        "BASIC_AUTH_USER": "anna",
        "BASIC_AUTH_PASS": "swordfish",
    }.items():
        monkeypatch.setenv(name, value)
    assert "swordfish" not in repr(load_settings())


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]


def test_importing_reads_no_environment_and_loads_no_torch():
    code = "import sys, backend.settings; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PORT": "no number", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
