"""The command `connect`, with a small Label Studio that keeps connections as 1.23 does."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from label_studio_fake import CONFIG
from loopback_server import Answer, LoopbackServer, Request, as_json

from backend.__main__ import main
from backend.database.connection import Database
from backend.labelstudio.webhook_secrets import SECRET_HEADER, WebhookSecrets
from backend.settings import load_settings

BACKEND = "http://web:9090"
PROJECT = {"id": 3, "created_at": "2026-11-22T12:00:00Z", "label_config": CONFIG}


class Studio:
    """Keeps ML backends and webhooks, and tells no password."""

    def __init__(self) -> None:
        self.backends: list[dict[str, Any]] = []
        self.webhooks: list[dict[str, Any]] = []
        self.sent: list[tuple[str, str]] = []
        self.passwords: list[Any] = []
        self.refusal: Answer | None = None

    def handle(self, request: Request, _: BaseHTTPRequestHandler) -> Answer:
        path = request.path.partition("?")[0].rstrip("/")
        if request.headers.get("authorization") != "Token key":
            return as_json({"detail": "Invalid token."}, 401)
        if path == "/api/projects/3":
            return as_json(PROJECT)
        rows = {"ml": self.backends, "webhooks": self.webhooks}.get(path.split("/")[2])
        if rows is None:
            return as_json({"detail": "Not found."}, 404)
        if request.method == "GET":
            return as_json(rows)
        if self.refusal is not None:
            return self.refusal
        return self.change(request, path, rows)

    def change(self, request: Request, path: str, rows: list[dict[str, Any]]) -> Answer:
        self.sent.append((request.method, path))
        body = dict(request.json)
        if rows is self.backends:
            self.passwords.append(body.pop("basic_auth_pass", None))
        if request.method == "PATCH":
            [row] = [row for row in rows if row["id"] == int(path.split("/")[3])]
            row.update(body)
            return as_json(row)
        rows.append({**self.fresh(rows), **body})
        if rows is self.backends:
            url = body["url"].rstrip("/") + "/webhook"
            if not any(each["url"] == url for each in self.webhooks):
                self.webhooks.append({**self.fresh(self.webhooks), "url": url})
        return as_json(rows[-1], 201)

    def fresh(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        row: dict[str, Any] = {"id": len(rows) + 1}
        if rows is self.backends:
            return row | {"state": "CO", "title": "x"}
        flags = dict.fromkeys(("is_active", "send_payload", "send_for_all_actions"), True)
        return row | flags | {"headers": {}}


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest,
    server: LoopbackServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unread_weights: Path,
) -> Iterator[Database]:
    """The database of the command, of each kind in turn."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "key")
    monkeypatch.setenv("MODEL_WEIGHTS", str(unread_weights))
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgres_url"))
    database = Database(load_settings().database)
    yield database
    database.close()


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("BASIC_AUTH_USER", "anna")
    monkeypatch.setenv("BASIC_AUTH_PASS", "swordfish")
    return "swordfish"


def connect(*more: str) -> int:
    return main(["connect", "--project", "3", *more])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_project_is_connected_and_a_second_call_changes_nothing(
    studio: Studio, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert connect("--backend", BACKEND + "/") == 0
    assert "Project 3: connected to http://web:9090\n" in said(capsys)
    [backend], [webhook] = studio.backends, studio.webhooks
    backend.update(title="ours", extra_params={"threshold": 0.4})
    assert (backend["url"], backend["auth_method"]) == (BACKEND, "NONE")
    assert (webhook["url"], webhook["headers"]) == (f"{BACKEND}/webhook", {})
    before = [dict(backend), dict(webhook)]
    assert connect("--backend", BACKEND) == 0
    assert "sends what annotators do" in said(capsys)
    # Label Studio tells no password, so user and password are sent each time.
    assert studio.sent == [("POST", "/api/ml"), ("PATCH", "/api/ml/1")]
    assert [*studio.backends, *studio.webhooks] == [{**before[0], "project": 3}, before[1]]


def test_with_a_password_the_webhook_gets_a_secret_that_the_backend_accepts(
    studio: Studio, database: Database, password: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert connect("--backend", BACKEND) == 0
    [backend], [webhook] = studio.backends, studio.webhooks
    assert (backend["auth_method"], backend["basic_auth_user"]) == ("BASIC_AUTH", "anna")
    assert studio.passwords == [password]
    secret = webhook["headers"][SECRET_HEADER]
    assert WebhookSecrets(load_settings(), database).accept(secret)
    assert connect("--backend", BACKEND) == 0
    assert webhook["headers"] == {SECRET_HEADER: secret}, "a secret that works stays"
    out = said(capsys)
    assert secret not in out
    assert password not in out


@pytest.mark.parametrize(
    "broken",
    [
        {"is_active": False},
        {"send_payload": False},
        {"send_for_all_actions": False},
        {"headers": {}},
        {"headers": {SECRET_HEADER: "forgotten"}},
        {"headers": {"x-webhook-secret": "in lower case", "X-Other": "stays"}},
        {"headers": {"Authorization": "Basic YW5uYTpvbGQ="}},
        {"url": "http://anna:old@web:9090/webhook"},
    ],
)
def test_a_broken_webhook_is_repaired(
    studio: Studio,
    database: Database,
    password: str,
    capsys: pytest.CaptureFixture[str],
    broken: dict[str, Any],
) -> None:
    connect("--backend", BACKEND)
    [webhook] = studio.webhooks
    webhook.update(broken)
    said(capsys)
    assert connect("--backend", BACKEND) == 0
    assert "Webhook of project 3: repaired\n" in said(capsys)
    assert webhook["url"] == f"{BACKEND}/webhook"
    flags = (webhook["is_active"], webhook["send_payload"], webhook["send_for_all_actions"])
    assert all(flags)
    headers = dict(webhook["headers"])
    assert WebhookSecrets(load_settings(), database).accept(headers.pop(SECRET_HEADER))
    assert headers == ({"X-Other": "stays"} if "X-Other" in str(broken) else {})


def test_a_deleted_webhook_is_made_again_and_a_second_one_switched_off(
    studio: Studio, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    connect("--backend", BACKEND)
    studio.webhooks.clear()
    assert connect("--backend", BACKEND) == 0
    assert "Webhook of project 3: created" in said(capsys)
    [webhook] = studio.webhooks
    other = {**webhook, "id": 2, "url": "http://anna:secret@web:9090/webhook"}
    elsewhere = {**webhook, "id": 3, "url": "http://other:9090/webhook"}
    studio.webhooks += [other, elsewhere]
    assert connect("--backend", BACKEND) == 0
    out = said(capsys)
    assert "a second one, http://web:9090/webhook, is switched off" in out
    assert "secret" not in out
    assert [each["is_active"] for each in studio.webhooks] == [True, False, True]


def test_the_address_of_the_settings_is_taken_unless_one_is_given(
    studio: Studio, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "9191")
    assert connect() == 0
    assert studio.backends[0]["url"] == "http://127.0.0.1:9191"


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        (400, "Can't connect to ML backend http://web:9090, health check failed.", "--backend"),
        (403, "URL resolves to a reserved network address", "ML_BLOCK_LOCAL_IP=false"),
        (400, "the password swordfish is wrong", "***"),
        (401, "Invalid token.", "LABEL_STUDIO_API_KEY"),
        (500, "database is locked", "500"),
    ],
)
def test_a_refusal_of_label_studio_says_what_to_do(
    studio: Studio,
    database: Database,
    password: str,
    capsys: pytest.CaptureFixture[str],
    status: int,
    detail: str,
    expected: str,
) -> None:
    studio.refusal = as_json({"detail": detail}, status)
    assert connect("--backend", BACKEND) == 78
    error = capsys.readouterr().err
    assert expected in error
    assert password not in error
    assert len(error.splitlines()) == 1


def test_a_project_or_an_address_that_is_none_is_refused(
    studio: Studio, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["connect", "--project", "4"]) == 78
    assert "404" in capsys.readouterr().err
    assert connect("--backend", "web:9090") == 78
    assert "expected an address such as" in capsys.readouterr().err
    assert studio.sent == []
