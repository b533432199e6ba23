"""The settings of the backend: read once from environment variables, and checked once."""

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import NoDecode, SettingsConfigDict

from backend.detector_variables import DETECTOR_PREFIX, DetectorVariables
from model.settings import DetectorSettings, model_version
from model.weights_files import resolve_model

DATABASE_FILE = "backend.sqlite3"

# Their values may contain passwords, so no message repeats them.
CONCEALED = {
    "redis_url",
    "database_url",
    "label_studio_api_key",
    "basic_auth_pass",
    "webhook_secret",
    "cvat_access_token",
}


class SettingsError(ValueError):
    """Environment variables are wrong; for each, the message says what was expected and given."""


def _split_at_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip().lower() for part in value.split(",") if part.strip())


# Which suggestions are shown; see `Settings.suggest`.
Suggest = Literal["always", "worthwhile", "learnt"]

Hosts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]


class Settings(DetectorVariables):
    """Every setting; the environment variable is the field's name in capitals.

    Attributes:
        host, port: address on which the web process listens.
        data_dir: folder of the database and of the embedded Redis; created if it is missing.
        redis_url: address of the Redis to use; None for the embedded one.
        database_url: address of a PostgreSQL; None for SQLite in `data_dir`.
        label_studio_url, label_studio_api_key: address of Label Studio and a token for it (legacy
            or personal); None for those that /setup sends.
        cvat_url, cvat_access_token: address of CVAT and a personal access token for it; only
            `python -m backend cvat` and the workers that read images from there need them.
        basic_auth_user, basic_auth_pass: credentials that callers must send; set both or neither.
        webhook_secret: what Label Studio has to send in the header X-Webhook-Secret of events; None
            for secrets that `python -m backend connect` generates.
        allowed_hosts: names under which the web process may be called; empty for any, but where it
            listens on this machine alone without a password: see `backend.web.browser_requests`.
        max_projects: largest number of projects.
        max_requests_per_minute: largest number of requests of a project that all web processes take
            together; each by itself while Redis is away.
        max_waiting_tasks: largest number of tasks of a project that wait for workers.
        max_waiting_trainings: largest number of unfinished trainings that Label Studio requested.
        max_trainings_per_day: largest number of trainings of a project in 24 hours that Label
            Studio requested.
        keep_models: number of the latest models of each project that keep their weights, besides
            those in use; 0 for all.
        min_free_disk: MiB that have to be free on the disk of a SQLite database for new work.
        model_arch, model_weights: of the model that is active until one is trained; see
            `model.weights_files.resolve_model`.
        models_dir: folder of trained models and unfinished trainings, which workers and trainers
            share; None for one in `data_dir`.
        model_memory: MiB for the networks that a worker keeps loaded; the last used always stays.
        log_format: of the lines of the log: `text` for people, `json` for programs.
        workers, threads: number of gunicorn's processes, and of the threads of each.
        detection_workers: number of workers, which detect keypoints; None for as many as suit the
            machine.
        detection_threads: number of threads with which a worker computes.
        predict_wait_one, predict_wait_batch: longest wait of /predict for one task, for several; s.
        training_workers: number of trainers; 0 for none on this machine.
        training_timeout: longest time for one training, s.
        job_timeout: longest time for one image, s.
        job_retries: number of retries of a job after a failure for an unknown reason.
        give_up_after: longest time that work waits for something outside of it, such as a Label
            Studio that is away; s.
        retry_failed_after: time after which a request for a failed task tries it again, s.
        default_label: label of a keypoint if the predicted class is not among the configuration's
            labels; None for the first label.
        max_image_bytes, max_image_pixels: larger images are refused.
        decode_timeout: longest processor time to decode one image, s.
        contact: web or e-mail address of whoever runs the backend, for servers that it asks.
        image_hosts: hosts with private addresses that images may come from.
        holdout_share: share of the tasks whose suggestions are withheld, to measure how much
            suggestions influence annotators.
        sync_every: interval between pulls of all annotations, in case an event was lost; s, 0 for
            never.
        suggest: which suggestions are shown: all of them (always), those that are expected to save
            work (worthwhile), or only points that were learnt from corrections (learnt).
        nested_classes: what a class that is chosen in a taxonomy or in nested choices is called
            when a network is trained: its last name (leaf) or the whole path (path).
        learn_examples: largest number of corrected objects a project that suggestions are made
            from.
        detector_…: see `model.settings.DetectorSettings`, from which they are generated.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(default=9090, ge=1, le=65535)
    data_dir: Path = Path("data")
    redis_url: str | None = Field(default=None, repr=False)
    database_url: str | None = Field(default=None, repr=False)
    label_studio_url: str | None = None
    label_studio_api_key: SecretStr | None = None
    cvat_url: str | None = None
    cvat_access_token: SecretStr | None = None
    basic_auth_user: str | None = None
    basic_auth_pass: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    allowed_hosts: Hosts = ()
    max_projects: int = Field(default=1000, ge=1)
    max_requests_per_minute: int = Field(default=20_000, ge=1)
    max_waiting_tasks: int = Field(default=500_000, ge=1)
    max_waiting_trainings: int = Field(default=20, ge=1)
    max_trainings_per_day: int = Field(default=24, ge=1)
    keep_models: int = Field(default=10, ge=0)
    min_free_disk: int = Field(default=200, ge=0)
    model_arch: str | None = None
    model_weights: str | None = None
    models_dir: Path | None = None
    model_memory: int = Field(default=1024, ge=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    workers: int = Field(default=1, ge=1)
    threads: int = Field(default=64, ge=2)
    detection_workers: int | None = Field(default=None, ge=1)
    detection_threads: int = Field(default=1, ge=1)
    training_workers: int = Field(default=1, ge=0)
    training_timeout: int = Field(default=24 * 3600, ge=1)
    predict_wait_one: float = Field(default=15.0, ge=0, le=90)
    predict_wait_batch: float = Field(default=2.0, ge=0, le=90)
    job_timeout: int = Field(default=600, ge=1)
    job_retries: int = Field(default=2, ge=0)
    give_up_after: float = Field(default=24 * 3600.0, ge=0)
    retry_failed_after: float = Field(default=60, ge=0)
    default_label: str | None = None
    max_image_bytes: int = Field(default=50_000_000, ge=1)
    max_image_pixels: int = Field(default=50_000_000, ge=1)
    decode_timeout: float = Field(default=10.0, gt=0)
    contact: str | None = None
    image_hosts: Hosts = ()
    holdout_share: float = Field(default=0.0, ge=0, le=1)
    sync_every: float = Field(default=3600.0, ge=0)
    suggest: Suggest = "worthwhile"
    nested_classes: Literal["leaf", "path"] = "leaf"
    learn_examples: int = Field(default=200, ge=3)

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

    @field_validator("contact")
    @classmethod
    def _fits_into_a_header(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"[!-'*-~]+", value):
            raise ValueError(
                "expected a web or e-mail address in ASCII, such as https://example.org/annotation "
                "or anna@example.org"
            )
        return value

    @field_validator("basic_auth_user", "basic_auth_pass")
    @classmethod
    def _can_be_sent(cls, value: str | SecretStr | None, info: ValidationInfo) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value or ""
        is_latin = all(char.isprintable() and ord(char) < 256 for char in text)
        if not is_latin or (info.field_name == "basic_auth_user" and ":" in text):
            raise ValueError(
                "expected letters, digits and signs of Latin-1, and in the user no colon, because "
                "Label Studio can send no others"
            )
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(r"[!-~]{16,}", value.get_secret_value()):
            raise ValueError("expected at least 16 letters, digits and signs of ASCII, no blanks")
        return value

    @field_validator("label_studio_url", "cvat_url")
    @classmethod
    def _is_web_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            name = "CVAT" if info.field_name == "cvat_url" else "Label Studio"
            raise ValueError(f"expected the address of {name}, such as http://localhost:8080")
        if parts.port == 0:
            raise ValueError("expected a port from 1 to 65535")
        return value.rstrip("/")

    @property
    def setup_may_name_label_studio(self) -> bool:
        """Whether callers of /setup may say where Label Studio is: only those with a password."""
        return self.label_studio_url is None and self.basic_auth_pass is not None

    def detector_settings(self) -> DetectorSettings:
        """Return the settings of the detector.

        Raises:
            ValueError: the values do not fit together, which `load_settings` has ruled out.
        """
        names = [field.name for field in fields(DetectorSettings)]
        return DetectorSettings(**{name: getattr(self, DETECTOR_PREFIX + name) for name in names})

    def model(self) -> tuple[str, str]:
        """Return architecture and weights, with defaults for those that are not set."""
        return resolve_model(self.model_arch, self.model_weights)

    def model_version(self) -> str:
        """Return the version of the settings' own model; reads the whole weights file.

        A trained model may be active instead: see `backend.training.registry`.
        """
        return model_version(*self.model(), self.detector_settings())

    def secrets(self) -> tuple[str, ...]:
        """Return the tokens and passwords in these settings, which no log line may show."""
        addresses = (self.redis_url, self.database_url)
        return tuple(
            secret
            for secret in (
                self.label_studio_api_key and self.label_studio_api_key.get_secret_value(),
                self.cvat_access_token and self.cvat_access_token.get_secret_value(),
                self.basic_auth_pass and self.basic_auth_pass.get_secret_value(),
                *(unquote(urlsplit(each).password or "") for each in addresses if each),
            )
            if secret
        )

    @property
    def has_label_studio_token(self) -> bool:
        """Whether the token of the settings is the one that is used."""
        return self.label_studio_url is not None and self.label_studio_api_key is not None

    @property
    def uses_tokens_of_setup(self) -> bool:
        """Whether a backend with these settings uses the tokens that /setup brings."""
        if self.label_studio_url is None:
            return self.setup_may_name_label_studio
        return self.label_studio_api_key is None

    @property
    def models_folder(self) -> Path:
        """Folder of trained models."""
        return self.models_dir or self.data_dir / "models"

    @property
    def database(self) -> str:
        """Address of the database, for SQLAlchemy."""
        return self.database_url or f"sqlite:///{(self.data_dir / DATABASE_FILE).absolute()}"


def load_settings() -> Settings:
    """Read the environment variables.

    Raises:
        SettingsError: some are wrong; the message has one line for each.
    """
    problems = list(_unknown_names())
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_line(problem) for problem in error.errors()]
        wrong = {str(problem["loc"][0]) for problem in error.errors()}
        # Check the rules about several variables as well, so that one message lists every problem.
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
    """Report DETECTOR_… variables that do not exist: a misspelt one would have no effect."""
    known = [name.upper() for name in Settings.model_fields if name.startswith(DETECTOR_PREFIX)]
    for name in sorted(os.environ):
        if name.upper().startswith(DETECTOR_PREFIX.upper()) and name.upper() not in known:
            closest = difflib.get_close_matches(name.upper(), known, n=1)
            meant = f"did you mean {closest[0]}?" if closest else f"there are {', '.join(known)}"
            yield f"{name}: expected the name of a setting of the detector; {meant}"


def _problems_of_several(settings: Settings) -> Iterator[str]:
    if (settings.basic_auth_user is None) != (settings.basic_auth_pass is None):
        missing = "BASIC_AUTH_PASS" if settings.basic_auth_user else "BASIC_AUTH_USER"
        yield f"BASIC_AUTH_USER, BASIC_AUTH_PASS: expected both or neither; {missing} is not set"
    if settings.webhook_secret and settings.basic_auth_pass is None:
        yield "WEBHOOK_SECRET: expected BASIC_AUTH_USER and BASIC_AUTH_PASS beside it; set them"
    try:
        settings.detector_settings()
    except ValueError as error:
        yield f"DETECTOR_…: {error}"
    try:
        settings.model()
    except (OSError, ValueError) as error:
        yield f"MODEL_ARCH, MODEL_WEIGHTS: {error}"
