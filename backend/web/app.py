"""The web application: assembly."""

import logging

from flask import Flask
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from rq import Queue

from backend import retries
from backend.database.connection import Database, StorageError
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.setup_trust import SetupTrust
from backend.labelstudio.webhook_secrets import WebhookSecrets
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.learning.versions import SuggestionVersions
from backend.logs import set_up_logging
from backend.queue.wake import Waker
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
from backend.verdicts.grouped_events import GroupedEvents
from backend.verdicts.set_aside_storage import SetAsideStorage
from backend.web import label_studio_routes, report_routes, status_page_routes, status_routes
from backend.web.authentication import require_password
from backend.web.browser_requests import refuse_other_sites
from backend.web.context import BACKEND, Backend
from backend.web.error_answers import answer_errors
from backend.web.limits import Limits
from backend.web.prometheus import BackendMetrics
from backend.web.readiness import ReadinessProbe
from backend.web.request_ids import identify_requests
from backend.web.security_headers import add_security_headers
from backend.web.status import StatusService

logger = logging.getLogger(__name__)

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
    for routes in (label_studio_routes, status_page_routes, status_routes, report_routes):
        app.register_blueprint(routes.bp)
    identify_requests(app)
    refuse_other_sites(app, settings)
    require_password(app, settings, WebhookSecrets(settings, database))
    add_security_headers(app)
    answer_errors(app)
    return app


def _backend(settings: Settings, database: Database, queue: Queue) -> Backend:
    models, projects = (
        ModelRegistry(settings, database),
        ProjectStorage(database, keeps_tokens=not settings.has_label_studio_token),
    )
    versions = SuggestionVersions(settings, database, models)
    status = StatusService(database, queue.connection)
    steps = StepStorage(database, limit=settings.learn_examples)
    return Backend(
        projects=projects,
        setup_trust=SetupTrust(settings),
        limits=Limits(settings, database),
        predictions=PredictService(settings, database, queue, versions.current),
        stored_predictions=PredictionStorage(database),
        events=GroupedEvents(database),
        models=models,
        versions=versions,
        trainings=TrainingRequests(settings, database, make_training_queue(queue.connection)),
        metrics=BackendMetrics(database, queue, models, status),
        extra_params=ExtraParams(projects, models, steps),
        cold_start=ColdStart(settings, models, versions),
        examples=ExampleStorage(database, limit=settings.learn_examples),
        work=UnfinishedWork(database),
        set_aside=SetAsideStorage(database),
        status=status,
        readiness=ReadinessProbe(database, queue.connection),
        waker=Waker(queue.connection),
    )


def create_from_environment() -> Flask:
    """Return the application that gunicorn serves.

    Connects to neither Redis nor the database, because gunicorn forks afterwards.

    Raises:
        SystemExit: a setting is wrong or missing; the message says which.
    """
    try:
        settings = load_settings()
        set_up_logging(settings.log_level, settings.log_format, settings.secrets())
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
