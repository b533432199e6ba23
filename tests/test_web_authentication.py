"""Who may call which route, over real HTTP."""

import base64
import hmac
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from rq import Queue
from web_server import served

from backend.database.connection import Database
from backend.labelstudio import webhook_secrets
from backend.labelstudio.webhook_secrets import SECRET_HEADER, WebhookSecrets
from backend.settings import Settings, SettingsError, load_settings
from backend.verdicts.storage import EventStorage
from backend.web import authentication
from backend.web.app import create_app

PASSWORD = "pä:ss"
SECRET = "a-secret-of-the-settings"
EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 3}}
AUTH = {"basic_auth_user": "anna", "basic_auth_pass": PASSWORD}


def settings_of(weights: Path, **more: object) -> Settings:
    return Settings(model_weights=str(weights), **more)  # type: ignore[arg-type]


@pytest.fixture
def guarded(any_database: Database, queue: Queue, unread_weights: Path) -> Iterator[str]:
    settings = settings_of(unread_weights, webhook_secret=SECRET, **AUTH)
    with served(create_app(settings, any_database, queue)) as url:
        yield url


def routes(database: Database, queue: Queue, weights: Path) -> set[tuple[str, str]]:
    app = create_app(settings_of(weights), database, queue)
    return {
        (method, str(rule.rule).replace("<int:task_id>", "1"))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method != "OPTIONS"
    }


def test_every_route_but_health_and_ready_asks_for_the_password(
    guarded: str, database: Database, queue: Queue, unread_weights: Path
) -> None:
    found = routes(database, queue, unread_weights)
    assert ("POST", "/predict") in found
    for method, path in found | {("GET", "/nowhere"), ("GET", "/health/../jobs"), ("PUT", "/x")}:
        answer = requests.request(method, guarded + path, timeout=30)
        open_to_all = path in ("/health", "/ready")
        assert (answer.status_code == 401) is not open_to_all, (method, path)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_password_is_accepted_as_browsers_and_as_label_studio_send_it(
    guarded: str, encoding: str
) -> None:
    encoded = base64.b64encode(f"anna:{PASSWORD}".encode(encoding)).decode()
    headers = {"Authorization": f"Basic {encoded}"}
    assert requests.get(f"{guarded}/versions", headers=headers, timeout=30).status_code == 200


def test_the_secret_of_the_settings_opens_the_webhook_and_nothing_else(guarded: str) -> None:
    right, wrong = {SECRET_HEADER: SECRET}, {SECRET_HEADER: SECRET[:-1]}
    for headers, status in ((right, 200), (wrong, 401), ({SECRET_HEADER: ""}, 401), ({}, 401)):
        answer = requests.post(f"{guarded}/webhook", json=EVENT, headers=headers, timeout=30)
        assert answer.status_code == status
    for path in ("/predict", "/setup"):
        answer = requests.post(guarded + path, json={}, headers=right, timeout=30)
        assert answer.status_code == 401
    assert requests.get(f"{guarded}/report", headers=right, timeout=30).status_code == 401
    answer = requests.post(f"{guarded}/webhook", json=EVENT, auth=("anna", PASSWORD), timeout=30)
    assert answer.status_code == 200


def test_a_generated_secret_opens_the_webhook_and_only_its_digest_is_stored(
    any_database: Database, queue: Queue, unread_weights: Path
) -> None:
    settings = settings_of(unread_weights, **AUTH)
    secrets = WebhookSecrets(settings, any_database)
    with served(create_app(settings, any_database, queue)) as url:

        def status(secret: str, project: int = 3) -> int:
            headers = {SECRET_HEADER: secret}
            event = {**EVENT, "project": {"id": project}}
            return requests.post(
                f"{url}/webhook", json=event, headers=headers, timeout=30
            ).status_code

        first = secrets.secret_for(3, None)
        assert status(first) == 200
        assert secrets.secret_for(3, first) == first, "a secret that works stays"
        other = secrets.secret_for(4, None)
        assert (status(first), status(other, 4), status("none")) == (200, 200, 401)
        assert (status(first, 4), status(other, 3), status(first, 5)) == (403, 403, 403)
        assert len(EventStorage(any_database).unhandled()) == 3
        renewed = secrets.secret_for(3, "lost")
        assert (status(first), status(renewed)) == (401, 200)
        [digest, _] = secrets._storage.digests().values()
        assert status(digest) == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASIC_AUTH_PASS", "pass€"),
        ("BASIC_AUTH_PASS", "пароль"),
        ("BASIC_AUTH_PASS", "pass\nword"),
        ("BASIC_AUTH_USER", "anna:x"),
        ("BASIC_AUTH_USER", "아나"),
    ],
)
def test_a_password_that_label_studio_cannot_send_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("BASIC_AUTH_USER", "anna")
    monkeypatch.setenv("BASIC_AUTH_PASS", "secret")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}: expected letters.*Latin-1") as caught:
        load_settings()
    if name == "BASIC_AUTH_PASS":
        assert value not in str(caught.value)


@pytest.mark.parametrize("value", ["short", "a-secret-with blanks", "ein-gehöriges-geheimnis"])
def test_a_secret_that_is_short_or_cannot_stand_in_a_header_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("BASIC_AUTH_USER", "anna")
    monkeypatch.setenv("BASIC_AUTH_PASS", "secret")
    monkeypatch.setenv("WEBHOOK_SECRET", value)
    with pytest.raises(SettingsError, match="WEBHOOK_SECRET: expected at least 16") as caught:
        load_settings()
    assert value not in str(caught.value)


def test_a_secret_of_webhooks_needs_a_password_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    with pytest.raises(SettingsError, match="WEBHOOK_SECRET: expected BASIC_AUTH_USER"):
        load_settings()


def test_passwords_and_secrets_are_compared_in_constant_time(
    guarded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every comparison goes through `hmac.compare_digest`, and none is left out."""
    compared: list[tuple[object, object]] = []

    def compare(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    for module in (authentication, webhook_secrets):
        recording = SimpleNamespace(compare_digest=compare)
        monkeypatch.setattr(module, "hmac", recording)
    expected = [f"anna:{PASSWORD}".encode(), f"anna:{PASSWORD}".encode("latin-1")]
    for given in (f"anna:{PASSWORD}", "anna:wrong", ""):
        compared.clear()
        encoded = base64.b64encode(given.encode()).decode()
        requests.get(f"{guarded}/jobs", headers={"Authorization": f"Basic {encoded}"}, timeout=30)
        assert compared == [(given.encode(), each) for each in expected]
    compared.clear()
    requests.post(f"{guarded}/webhook", json=EVENT, headers={SECRET_HEADER: "no"}, timeout=30)
    assert compared == [(sha256(b"no").hexdigest(), sha256(SECRET.encode()).hexdigest())]
