"""Who may call which route: user and password, or for webhooks a secret in a header."""

import base64
import binascii
import hmac
from functools import partial

from flask import Flask, g, request
from werkzeug.exceptions import Forbidden, Unauthorized

from backend.labelstudio.webhook_secrets import SECRET_HEADER, WebhookSecrets
from backend.settings import Settings

OPEN_PATHS = ("/health", "/ready")
WEBHOOK_PATH = "/webhook"


def require_password(app: Flask, settings: Settings, secrets: WebhookSecrets) -> None:
    """Have every route ask for user and password, if the settings have them.

    Label Studio sends no basic authentication with its events, but headers of the webhook: one of
    `secrets` may stand there instead.
    """
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if user is None or password is None:
        return
    # Browsers send UTF-8, and `requests`, which Label Studio uses, Latin-1.
    pair = f"{user}:{password.get_secret_value()}"
    expected = [pair.encode("utf-8"), pair.encode("latin-1")]

    @app.before_request
    def check() -> None:
        if request.path in OPEN_PATHS or _has_password(expected):
            return
        secret = request.headers.get(SECRET_HEADER)
        if request.path == WEBHOOK_PATH and secrets.accept(secret):
            g.accepted = partial(secrets.accept, secret)
            return
        raise Unauthorized("expected user and password of BASIC_AUTH_USER, BASIC_AUTH_PASS")


def expect_secret_of(project_id: int | None) -> None:
    """Check that a request with the secret of a webhook is about the project of that webhook.

    Raises:
        Forbidden: its secret was generated for another project.
    """
    accepted = g.get("accepted")
    if accepted is not None and not accepted(project_id):
        raise Forbidden(
            f"expected an event of the project whose secret it has, got one of project "
            f"{project_id}: run `python -m backend connect --project {project_id}`"
        )


def _has_password(expected: list[bytes]) -> bool:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(encoded.strip().encode(), validate=True)
    except (binascii.Error, UnicodeError):
        return False
    # Compares with each of them, so that the time does not tell which one is closer.
    return sum(hmac.compare_digest(given, each) for each in expected) > 0
