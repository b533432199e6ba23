"""What may be set about the backend: read once from the environment, checked once."""

import difflib
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from model.settings import (
    DEFAULT,
    CoarseMap,
    DetectorSettings,
    FineMap,
    model_version,
    resolve_model,
)

DETECTOR = DEFAULT
DETECTOR_PREFIX = "detector_"
DATABASE_FILE = "backend.sqlite3"

# Their values hold passwords, or may: never repeat them in a message.
CONCEALED = {"redis_url", "database_url", "label_studio_api_key", "basic_auth_pass"}


class SettingsError(ValueError):
    """Environment variables are wrong: the message names every one, what it should be and is."""


def _or_none(value: object) -> object:
    """Read the word `none`, since a variable that is empty counts as one that is not set."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


def _split_at_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip().lower() for part in value.split(",") if part.strip())


OptionalCount = Annotated[int | None, BeforeValidator(_or_none)]
Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]


class Settings(BaseSettings):
    """Every setting; the environment variable is the field's name in capitals.

    Attributes:
        host, port: where the web process listens.
        data_dir: folder of the database and of the embedded Redis; made where missing.
        redis_url: of the Redis to use; None for the embedded one.
        database_url: of a PostgreSQL; None for SQLite in `data_dir`.
        label_studio_url, label_studio_api_key: of the Label Studio to fetch from and deliver to,
            and a token for it (legacy or personal); None for what /setup brings.
        basic_auth_user, basic_auth_pass: asked of everybody who calls; both or neither.
        model_arch, model_weights: see `model.settings.resolve_model`; what answers until a model is
            trained.
        models_dir: folder of trained models and of trainings that go on, which workers and trainers
            share; None for one in `data_dir`.
        workers, threads: gunicorn's processes, and threads of each.
        detection_workers: processes that detect.
        predict_wait_one, predict_wait_batch: how long /predict waits for one task, for several; s.
        training_workers: processes that train; 0 for none on this machine.
        training_timeout: longest time for one training; s.
        job_timeout: longest time for one image; s.
        job_retries: how often a job that failed for a passing reason is run again.
        retry_failed_after: a task that failed is tried again when asked for so much later; s.
        default_label: of a keypoint where the predicted class is none of the configuration's
            labels; None for the first of them.
        max_image_bytes, max_image_pixels: larger images are refused.
        image_hosts: host names that images may come from although their addresses are private.
        holdout_share: share of the tasks whose suggestions are held back, to measure how far
            suggestions pull annotators.
        sync_every: how often annotations are pulled, in case an event was lost; s, 0 for never.
        detector_…: see `model.settings.DetectorSettings`.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=9090, ge=1, le=65535)
    data_dir: Path = Path("data")
    redis_url: str | None = Field(default=None, repr=False)
    database_url: str | None = Field(default=None, repr=False)
    label_studio_url: str | None = None
    label_studio_api_key: SecretStr | None = None
    basic_auth_user: str | None = None
    basic_auth_pass: SecretStr | None = None
    model_arch: str | None = None
    model_weights: str | None = None
    models_dir: Path | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    workers: int = Field(default=1, ge=1)
    threads: int = Field(default=16, ge=2)
    detection_workers: int = Field(default=1, ge=1)
    training_workers: int = Field(default=1, ge=0)
    training_timeout: int = Field(default=24 * 3600, ge=1)
    predict_wait_one: float = Field(default=15.0, ge=0, le=90)
    predict_wait_batch: float = Field(default=2.0, ge=0, le=90)
    job_timeout: int = Field(default=600, ge=1)
    job_retries: int = Field(default=2, ge=0)
    retry_failed_after: float = Field(default=60, ge=0)
    default_label: str | None = None
    max_image_bytes: int = Field(default=50_000_000, ge=1)
    max_image_pixels: int = Field(default=50_000_000, ge=1)
    image_hosts: Hosts = ()
    holdout_share: float = Field(default=0.0, ge=0, le=1)
    sync_every: float = Field(default=3600.0, ge=0)

    detector_input_size: OptionalCount = DETECTOR.input_size
    detector_resize: Literal["squash", "pad"] = DETECTOR.resize
    detector_window: int = DETECTOR.window
    detector_stride: int = DETECTOR.stride
    detector_fills: int = DETECTOR.fills
    detector_seed: int = DETECTOR.seed
    detector_coarse: CoarseMap = DETECTOR.coarse
    detector_precision: Literal["float32", "bfloat16"] = DETECTOR.precision
    detector_coarse_score: Literal["probability", "log-odds"] = DETECTOR.coarse_score
    detector_activation_stride: int = DETECTOR.activation_stride
    detector_fine: FineMap = DETECTOR.fine
    detector_fine_colours: Literal["max", "mean"] = DETECTOR.fine_colours
    detector_corner_scale: float = DETECTOR.corner_scale
    detector_combination: Literal["sum", "product"] = DETECTOR.combination
    detector_coarse_weight: float = DETECTOR.coarse_weight
    detector_fine_weight: float = DETECTOR.fine_weight
    detector_region: Literal["none", "activation"] = DETECTOR.region
    detector_region_threshold: float = DETECTOR.region_threshold
    detector_region_margin: float = DETECTOR.region_margin
    detector_nms_radius: float = DETECTOR.nms_radius
    detector_subpixel: bool = DETECTOR.subpixel
    detector_keep: float = DETECTOR.keep
    detector_max_keypoints: OptionalCount = DETECTOR.max_keypoints
    detector_min_score: float = DETECTOR.min_score

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str | None) -> str | None:
        if value and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("expected redis://HOST:PORT/NUMBER, rediss:// or unix://PATH")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: str | None) -> str | None:
        scheme = urlsplit(value or "").scheme.partition("+")[0]
        if value and scheme not in ("postgresql", "postgres", "sqlite"):
            raise ValueError("expected postgresql://USER:PASSWORD@HOST/NAME or sqlite:///PATH")
        return value

    @field_validator("label_studio_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected the address of Label Studio, such as http://localhost:8080")
        if parts.port == 0:
            raise ValueError("expected a port from 1 to 65535")
        return value.rstrip("/")

    def detector_settings(self) -> DetectorSettings:
        """What the detector is told.

        Raises:
            ValueError: values that do not go together, which `load_settings` has excluded.
        """
        return DetectorSettings(
            **{
                field.name: getattr(self, DETECTOR_PREFIX + field.name)
                for field in fields(DETECTOR)
            }
        )

    def model(self) -> tuple[str, str]:
        """Architecture and weights, what was left out filled in."""
        return resolve_model(self.model_arch, self.model_weights)

    def model_version(self) -> str:
        """Version of the settings' own model; reads the whole weights file, so keep it.

        What answers may be another one, that was trained: see `model_registry`.
        """
        return model_version(*self.model(), self.detector_settings())

    @property
    def models_folder(self) -> Path:
        """Where trained models lie."""
        return self.models_dir or self.data_dir / "models"

    @property
    def database(self) -> str:
        """SQLAlchemy's address of the database."""
        return self.database_url or f"sqlite:///{(self.data_dir / DATABASE_FILE).absolute()}"


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: one line for each wrong variable.
    """
    problems = list(_unknown_names())
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_line(problem) for problem in error.errors()]
        wrong = {str(problem["loc"][0]) for problem in error.errors()}
        # Rules about several variables are looked at all the same, so that one start shows all.
        settings = Settings(**{name: Settings.model_fields[name].default for name in wrong})
    problems += _problems_of_several(settings)
    if problems:
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        raise SettingsError("\n  ".join([f"{count} wrong:", *problems]))
    return settings


def _line(problem: ErrorDetails) -> str:
    name = str(problem["loc"][0])
    expected = problem["msg"].replace("Input should be", "expected").replace("Value error, ", "")
    came = "something else (not shown: it may hold a password)"
    return (
        f"{name.upper()}: {expected}; got {came if name in CONCEALED else repr(problem['input'])}"
    )


def _unknown_names() -> Iterator[str]:
    """The detector's variables that do not exist: a slip of the pen would otherwise do nothing."""
    known = [name.upper() for name in Settings.model_fields if name.startswith(DETECTOR_PREFIX)]
    for name in sorted(os.environ):
        if name.upper().startswith(DETECTOR_PREFIX.upper()) and name.upper() not in known:
            closest = difflib.get_close_matches(name.upper(), known, n=1)
            meant = f"did you mean {closest[0]}?" if closest else f"there are {', '.join(known)}"
            yield f"{name}: expected a setting of the detector; {meant}"


def _problems_of_several(settings: Settings) -> Iterator[str]:
    if (settings.basic_auth_user is None) != (settings.basic_auth_pass is None):
        missing = "BASIC_AUTH_PASS" if settings.basic_auth_user else "BASIC_AUTH_USER"
        yield f"BASIC_AUTH_USER, BASIC_AUTH_PASS: expected both or neither; {missing} is not set"
    try:
        settings.detector_settings()
    except ValueError as error:
        yield f"DETECTOR_…: {error}"
    try:
        settings.model()
    except (OSError, ValueError) as error:
        yield f"MODEL_ARCH, MODEL_WEIGHTS: {error}"
