"""What a page of another site may have a browser send, over real HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from rq import Queue
from web_server import served

from backend.database.connection import Database
from backend.settings import Settings
from backend.verdicts.storage import EventStorage
from backend.web.app import create_app
from backend.web.browser_requests import _is_private_name, _name

EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 3}}


def settings_of(weights: Path, **more: Any) -> Settings:
    return Settings(model_weights=str(weights), **more)


@pytest.fixture
def url(database: Database, queue: Queue, unread_weights: Path) -> Iterator[str]:
    with served(create_app(settings_of(unread_weights), database, queue)) as address:
        yield address


def post(url: str, headers: dict[str, str], path: str = "/webhook") -> requests.Response:
    return requests.post(url + path, json=EVENT, headers=headers, timeout=30)


@pytest.mark.parametrize("path", ["/webhook", "/predict", "/setup"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8080"},
    ],
)
def test_what_a_page_of_another_site_sends_changes_nothing(
    url: str, database: Database, headers: dict[str, str], path: str
) -> None:
    answer = post(url, headers, path)
    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]
    assert EventStorage(database).events() == []


def test_programs_and_own_pages_may_send(url: str) -> None:
    assert post(url, {}).status_code == 200
    assert post(url, {"Origin": url}).status_code == 200
    assert post(url, {"Origin": "http://evil", "Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
@pytest.mark.parametrize("path", ["/webhook", "/predict", "/setup"])
def test_a_form_of_another_site_is_no_json(url: str, kind: str, path: str) -> None:
    answer = requests.post(
        url + path, data='{"action": "X"}', headers={"Content-Type": kind}, timeout=30
    )
    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/report", "/jobs", "/export?format=csv", "/nowhere"])
def test_a_public_name_that_leads_to_this_machine_is_not_answered(url: str, path: str) -> None:
    """A page of that name could read the answers."""
    answer = requests.get(url + path, headers={"Host": "evil.example:9090"}, timeout=30)
    assert answer.status_code == 403
    assert "ALLOWED_HOSTS" in answer.json()["error"]


@pytest.mark.parametrize(
    "host",
    ["localhost:9090", "127.0.0.1", "[::1]:9090", "web:9090", "host.docker.internal", "box.local"],
)
def test_names_of_this_machine_are_answered(url: str, host: str) -> None:
    assert requests.get(f"{url}/jobs", headers={"Host": host}, timeout=30).status_code == 200


def test_health_is_answered_under_any_name(url: str) -> None:
    headers = {"Host": "evil.example"}
    assert requests.get(f"{url}/health", headers=headers, timeout=30).status_code == 200


def test_the_operator_says_which_names_there_are(
    database: Database, queue: Queue, unread_weights: Path
) -> None:
    names = ("points.example", "web", "box.example:8443")
    settings = settings_of(unread_weights, host="0.0.0.0", allowed_hosts=names)
    with served(create_app(settings, database, queue)) as url:

        def status(host: str) -> int:
            return requests.get(f"{url}/jobs", headers={"Host": host}, timeout=30).status_code

        assert [status(host) for host in ("points.example", "WEB:9090", "localhost")] == [200] * 3
        assert [status(host) for host in ("evil.example", "10.1.2.3", "x")] == [403] * 3
        # Behind a proxy that passes another Host on.
        assert post(url, {"Origin": "https://points.example"}).status_code == 200
        assert post(url, {"Origin": "https://evil.example"}).status_code == 403
        assert post(url, {"Origin": "https://points.example:8080"}).status_code == 403
        assert post(url, {"Origin": "https://box.example:8443"}).status_code == 200
        assert status("box.example:9090") == 200


@pytest.mark.parametrize(
    "more",
    [{"host": "0.0.0.0"}, {"basic_auth_user": "anna", "basic_auth_pass": "secret"}],
)
def test_elsewhere_any_name_is_answered_until_the_operator_says_which(
    database: Database, queue: Queue, unread_weights: Path, more: dict[str, str]
) -> None:
    with served(create_app(settings_of(unread_weights, **more), database, queue)) as url:
        answer = requests.get(
            f"{url}/jobs",
            headers={"Host": "points.example"},
            auth=("anna", "secret"),
            timeout=30,
        )
        assert answer.status_code == 200


LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1)


@given(LABEL, st.sampled_from(["example", "com", "co.uk", "internal.example", "local.com"]))
def test_no_public_name_counts_as_one_of_this_machine(label: str, domain: str) -> None:
    for host in (f"{label}.{domain}", f"{label}.{domain.upper()}.:9090"):
        assert not _is_private_name(_name(host))


@given(st.text())
def test_any_host_has_a_name(host: str) -> None:
    _is_private_name(_name(host))
