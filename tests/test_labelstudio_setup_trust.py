"""Who may say where Label Studio is, over real HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from label_studio_fake import CONFIG, TOKEN, UID
from loopback_server import Answer, LoopbackServer, loopback_server
from rq import Queue
from web_server import served

from backend.database.connection import Database
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.projects import LabelStudios, NotDeliverable, ProjectStorage
from backend.settings import Settings
from backend.web.app import create_app

METADATA = "/latest/meta-data/"
PASSWORD = {"basic_auth_user": "anna", "basic_auth_pass": "secret"}
WITH_PASSWORD = ("anna", "secret")


@pytest.fixture
def stranger() -> Iterator[LoopbackServer]:
    """A host that a forged /setup names, such as a cloud's metadata service."""
    with loopback_server(lambda request, handler: Answer(body=b"secret role")) as server:
        yield server


def send_setup(
    settings: Settings, database: Database, queue: Queue, hostname: str, **more: object
) -> requests.Response:
    body = {"project": UID, "schema": CONFIG, "hostname": hostname, "access_token": TOKEN}
    with served(create_app(settings, database, queue)) as url:
        return requests.post(f"{url}/setup", json=body, timeout=30, **more)  # type: ignore[arg-type]


def settings_of(weights: Path, **more: object) -> Settings:
    return Settings(model_weights=str(weights), **more)  # type: ignore[arg-type]


def fetch(settings: Settings, database: Database, address: str) -> bytes:
    project = ProjectStorage(database).project(UID)
    assert project is not None
    return Images(settings, LabelStudios(settings)).content(project, address, 1)


def test_a_forged_setup_has_nothing_fetched(
    any_database: Database, queue: Queue, unread_weights: Path, stranger: LoopbackServer
) -> None:
    settings = settings_of(unread_weights)
    answer = send_setup(settings, any_database, queue, stranger.url)
    assert answer.status_code == 200
    assert "LABEL_STUDIO_URL" in answer.json()["advice"]
    for address in (METADATA, "/data/upload/1/a.png"):
        with pytest.raises(NotDeliverable, match="LABEL_STUDIO_URL"):
            fetch(settings, any_database, address)
    assert stranger.requests == []
    stored = ProjectStorage(any_database).project(UID)
    assert stored is not None
    assert (stored.hostname, stored.access_token) == (None, None)


def test_a_name_that_an_earlier_version_believed_is_used_no_more(
    database: Database, unread_weights: Path, stranger: LoopbackServer
) -> None:
    ProjectStorage(database).save_connection(
        UID, hostname=stranger.url, access_token=TOKEN, label_config=CONFIG
    )
    with pytest.raises(NotDeliverable, match=stranger.url):
        fetch(settings_of(unread_weights), database, METADATA)
    assert stranger.requests == []


def test_whoever_knows_the_password_may_name_a_label_studio(
    database: Database, queue: Queue, unread_weights: Path, stranger: LoopbackServer
) -> None:
    settings = settings_of(unread_weights, **PASSWORD)
    assert send_setup(settings, database, queue, stranger.url).status_code == 401
    answer = send_setup(settings, database, queue, stranger.url, auth=WITH_PASSWORD)
    assert "advice" not in answer.json() or "LABEL_STUDIO" not in answer.json()["advice"]
    assert fetch(settings, database, "/data/upload/1/a.png") == b"secret role"
    assert stranger.requests[0].headers["authorization"] == f"Token {TOKEN}"


@pytest.mark.parametrize("key", ["key-of-the-settings", None])
def test_the_token_goes_to_label_studio_alone_whatever_setup_says(
    database: Database,
    queue: Queue,
    unread_weights: Path,
    stranger: LoopbackServer,
    key: str | None,
) -> None:
    """The forged address is taken for another name of Label Studio, which is asked instead."""
    with loopback_server(lambda request, handler: Answer(body=b"image")) as studio:
        settings = settings_of(
            unread_weights, label_studio_url=studio.url, label_studio_api_key=key
        )
        send_setup(settings, database, queue, stranger.url)
        for path in ("/data/upload/1/a.png", "/a.png"):
            assert fetch(settings, database, stranger.url + path) == b"image"
        with pytest.raises(ImageFetchError, match="nothing else"):
            fetch(settings, database, f"{stranger.url}{METADATA}")
        assert [each.path for each in studio.requests] == ["/data/upload/1/a.png", "/a.png"]
        token = f"Token {key or TOKEN}"
        assert [each.headers.get("authorization") for each in studio.requests] == [token, None]
    assert stranger.requests == []


def test_a_token_that_is_not_needed_is_not_stored(
    database: Database, queue: Queue, unread_weights: Path
) -> None:
    settings = settings_of(
        unread_weights, label_studio_url="http://studio", label_studio_api_key="key"
    )
    send_setup(settings, database, queue, "http://localhost:8080")
    stored = ProjectStorage(database).project(UID)
    assert stored is not None
    assert (stored.hostname, stored.access_token) == ("http://localhost:8080", None)
