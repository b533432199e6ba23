"""The web application: assembly and password."""

import hmac
import logging

from flask import Flask, request
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from rq import Queue
from werkzeug.exceptions import Unauthorized

from backend import retries
from backend.database.connection import Database, StorageError
from backend.labelstudio.projects import ProjectStorage
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.learning.versions import SuggestionVersions
from backend.logs import set_up_logging
from backend.settings import Settings, SettingsError, load_settings
from backend.suggestions.answers import PredictService
from backend.suggestions.cold_start import ColdStart
from backend.suggestions.extra_params import ExtraParams
from backend.suggestions.queue import make_queue
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.training.queue import make_training_queue
from backend.training.registry import ModelRegistry
from backend.training.requests import TrainingRequests
from backend.verdicts.set_aside_storage import SetAsideStorage
from backend.verdicts.storage import EventStorage
from backend.web import label_studio_routes, report_routes, status_routes
from backend.web.context import BACKEND, Backend
from backend.web.error_answers import answer_errors
from backend.web.prometheus import BackendMetrics

logger = logging.getLogger(__name__)

OPEN_TO_ALL = ("label_studio.health",)
REDIS_SECONDS = 5.0


def create_app(settings: Settings, database: Database, queue: Queue) -> Flask:
    """Assemble the web application.

    Args:
        database: with its tables.
        queue: the queue of detection jobs; see `backend.suggestions.queue.make_queue`.

    Raises:
        OSError: the weights file of the settings cannot be read.
    """
    app = Flask(__name__, static_folder=None)
    app.extensions[BACKEND] = _backend(settings, database, queue)
    app.extensions[report_routes.AGREEMENT] = report_routes.agreement_of(settings, database)
    for routes in (label_studio_routes, status_routes, report_routes):
        app.register_blueprint(routes.bp)
    _require_password(app, settings)
    answer_errors(app)
    return app


def _backend(settings: Settings, database: Database, queue: Queue) -> Backend:
    models, projects = (
        ModelRegistry(settings, database),
        ProjectStorage(database, keeps_tokens=not settings.has_label_studio_token),
    )
    versions = SuggestionVersions(settings, database, models)
    steps = StepStorage(database, limit=settings.learn_examples)
    return Backend(
        projects=projects,
        predictions=PredictService(settings, database, queue, versions.current),
        stored_predictions=PredictionStorage(database),
        events=EventStorage(database),
        models=models,
        versions=versions,
        trainings=TrainingRequests(settings, database, make_training_queue(queue.connection)),
        metrics=BackendMetrics(database, queue, models),
        extra_params=ExtraParams(projects, models, steps),
        cold_start=ColdStart(settings, models, versions),
        examples=ExampleStorage(database, limit=settings.learn_examples),
        work=UnfinishedWork(database),
        set_aside=SetAsideStorage(database),
    )


def create_from_environment() -> Flask:
    """Return the application that gunicorn serves.

    Connects to neither Redis nor the database, because gunicorn forks afterwards.

    Raises:
        SystemExit: a setting is wrong or missing; the message says which.
    """
    try:
        settings = load_settings()
        set_up_logging(settings.log_level)
        if settings.redis_url is None:
            raise SettingsError(
                "REDIS_URL: expected the Redis that the workers use, got nothing; "
                "or start everything at once with `python -m backend serve`"
            )
        queue = make_queue(_redis(settings.redis_url))
        return create_app(settings, Database(settings.database), queue)
    except (SettingsError, StorageError, OSError) as error:
        raise SystemExit(str(error)) from error


def _redis(url: str) -> Redis:
    """Return a client that gives up quickly: without Redis every task is still in the database."""
    return Redis.from_url(
        url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(ConstantBackoff(retries.WEB_REDIS.first), retries.WEB_REDIS_RETRIES),
    )


def _require_password(app: Flask, settings: Settings) -> None:
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if user is None or password is None:
        return
    expected = f"{user}:{password.get_secret_value()}".encode()

    @app.before_request
    def check() -> None:
        given = request.authorization
        got = f"{given.username}:{given.password}" if given and given.type == "basic" else ""
        matches = hmac.compare_digest(got.encode(errors="replace"), expected)
        if not matches and request.endpoint not in OPEN_TO_ALL:
            raise Unauthorized("expected user and password of BASIC_AUTH_USER, BASIC_AUTH_PASS")
