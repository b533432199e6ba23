"""The web application: assembly."""

import logging

from flask import Flask
from rq import Queue

from backend.contract.queue import open_queue
from backend.contract.service import LabelStudioContract
from backend.database.connection import Database, StorageError
from backend.labelstudio.webhook_secrets import WebhookSecrets
from backend.learning.storage import ExampleStorage
from backend.logs import set_up_logging
from backend.settings import Settings, SettingsError, load_settings
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unfinished_work import UnfinishedWork
from backend.verdicts.set_aside_storage import SetAsideStorage
from backend.web import label_studio_routes, report_routes, status_page_routes, status_routes
from backend.web.authentication import require_password
from backend.web.browser_requests import refuse_other_sites
from backend.web.context import BACKEND, Backend
from backend.web.error_answers import answer_errors
from backend.web.prometheus import BackendMetrics
from backend.web.readiness import ReadinessProbe
from backend.web.request_ids import identify_requests
from backend.web.security_headers import add_security_headers
from backend.web.status import StatusService

logger = logging.getLogger(__name__)


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
    contract = LabelStudioContract(settings, database, queue)
    status = StatusService(database, queue.connection)
    return Backend(
        contract=contract,
        projects=contract.projects,
        stored_predictions=PredictionStorage(database),
        models=contract.models,
        versions=contract.versions,
        trainings=contract.trainings,
        metrics=BackendMetrics(database, queue, contract.models, status),
        cold_start=contract.cold_start,
        examples=ExampleStorage(database, limit=settings.learn_examples),
        work=UnfinishedWork(database),
        set_aside=SetAsideStorage(database),
        status=status,
        readiness=ReadinessProbe(database, queue.connection),
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
        return create_app(settings, Database(settings.database), open_queue(settings))
    except (SettingsError, StorageError, OSError) as error:
        raise SystemExit(str(error)) from error
