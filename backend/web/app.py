"""The web application: routes, who may call them, and what callers hear when something is wrong."""

import hmac
import logging

from flask import Flask, Response, jsonify, request
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from rq import Queue
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, Unauthorized
from werkzeug.sansio.response import Response as BaseResponse

from backend import retries
from backend.database.connection import Database, StorageError
from backend.logs import set_up_logging
from backend.settings import Settings, SettingsError, load_settings
from backend.suggestions.answers import PredictService
from backend.suggestions.queue import make_queue
from backend.training.queue import make_training_queue
from backend.training.registry import ModelRegistry
from backend.training.requests import TrainingRequests
from backend.web import report_routes
from backend.web.label_studio_routes import BACKEND, Backend, bp
from backend.web.prometheus import BackendMetrics

log = logging.getLogger(__name__)

# Label Studio sends every selected task in one request.
LARGEST_BODY = 256 * 2**20
OPEN_TO_ALL = ("label_studio.health",)
REDIS_SECONDS = 5.0


def create_app(settings: Settings, database: Database, queue: Queue) -> Flask:
    """The application.

    Args:
        storage: with its tables.
        queue: of `work_queue.make_queue`.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    models = ModelRegistry(settings, database)
    app.extensions[BACKEND] = Backend(
        database=database,
        predictions=PredictService(settings, database, queue, lambda: models.active().version),
        metrics=BackendMetrics(database, queue, lambda: models.active_or_last_known().version),
        models=models,
        trainings=TrainingRequests(settings, database, make_training_queue(queue.connection)),
    )
    app.extensions[report_routes.AGREEMENT] = report_routes.agreement_of(settings, database)
    app.register_blueprint(bp)
    app.register_blueprint(report_routes.bp)
    _ask_for_password(app, settings)
    app.register_error_handler(HTTPException, _wrong_request)
    app.register_error_handler(OperationalError, _no_database)
    app.register_error_handler(Exception, _unexpected)
    return app


def create_from_environment() -> Flask:
    """The application that gunicorn serves; connects to nothing, as gunicorn forks afterwards.

    Raises:
        SystemExit: a setting is wrong or missing; it says which.
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
    """A Redis that is soon given up when it does not answer: every task is in the database."""
    return Redis.from_url(
        url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(ConstantBackoff(retries.WEB_REDIS.first), retries.WEB_REDIS_RETRIES),
    )


def _ask_for_password(app: Flask, settings: Settings) -> None:
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if user is None or password is None:
        return
    expected = f"{user}:{password.get_secret_value()}".encode()

    @app.before_request
    def check() -> None:
        given = request.authorization
        came = f"{given.username}:{given.password}" if given and given.type == "basic" else ""
        right = hmac.compare_digest(came.encode(errors="replace"), expected)
        if not right and request.endpoint not in OPEN_TO_ALL:
            raise Unauthorized("expected user and password of BASIC_AUTH_USER, BASIC_AUTH_PASS")


def _wrong_request(error: HTTPException) -> Response | BaseResponse:
    if error.response is not None:
        return error.response
    message = error.description or error.name
    if isinstance(error, RequestEntityTooLarge):
        message = f"expected a body of at most {LARGEST_BODY} bytes: select fewer tasks at a time"
    answer = jsonify(error=message)
    answer.status_code = error.code or 500
    if isinstance(error, Unauthorized):
        answer.headers["WWW-Authenticate"] = 'Basic realm="keypoints"'
    return answer


def _no_database(error: OperationalError) -> tuple[Response, int]:
    log.error("The database cannot be used: %s", str(error).partition("\n")[0])
    return jsonify(error="the database cannot be used now: try again soon"), 503


def _unexpected(error: Exception) -> tuple[Response, int]:
    log.error("%s %s: unexpected error", request.method, request.path, exc_info=error)
    return jsonify(error="unexpected error: the backend's log says which"), 500
