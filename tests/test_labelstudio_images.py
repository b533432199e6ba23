import base64
import gzip
import io
import shutil
import socket
import ssl
import subprocess
import sys
import time
import tomllib
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import brotli
import numpy as np
import pytest
from loopback_server import Answer, Handle, LoopbackServer, Request, as_json, loopback_server
from PIL import Image

from backend.labelstudio import guarded_connections, images
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageFetchError, Images, fetch
from backend.labelstudio.projects import LabelStudios, NotDeliverable, Project
from backend.labelstudio.user_agent import NAME, VERSION, user_agent
from backend.settings import Settings
from model.decoding import UnreadableImage

IMAGE = b"\x89PNG as good as any"
TOKEN = "0123456789abcdef0123456789abcdef01234567"


def image(request: Request, _: BaseHTTPRequestHandler) -> Answer:
    return Answer(body=IMAGE, headers={"Content-Type": "image/png"})


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    """Label Studio, as far as images go."""
    with loopback_server(image) as served:
        yield served


def get(url: str, studio: str, max_bytes: int = 1000, **more: Any) -> bytes:
    known_as = more.pop("known_as", ())
    agent = more.pop("agent", user_agent(None))
    label_studio = LabelStudio(studio, more.pop("token", TOKEN), known_as=known_as, agent=agent)
    return fetch(url, label_studio, max_bytes=max_bytes, **more)


def refusal(url: str, studio: str, **more: Any) -> ImageFetchError:
    with pytest.raises(ImageFetchError) as caught:
        get(url, studio, **more)
    return caught.value


def tokens(server: LoopbackServer) -> list[str | None]:
    return [request.headers.get("authorization") for request in server.requests]


def test_an_upload_is_fetched_from_label_studio_with_the_token(server: LoopbackServer):
    assert get("/data/upload/3/45a28b6e-im0.jpg", server.url) == IMAGE
    assert server.requests[0].path == "/data/upload/3/45a28b6e-im0.jpg"
    assert tokens(server) == [f"Token {TOKEN}"]


def test_a_local_file_is_fetched_where_label_studio_is_reached_from_here(server: LoopbackServer):
    """In Docker, Label Studio calls itself localhost:8080 and is another host to us."""
    url = "http://localhost:8080/data/local-files/?d=set1/im0.jpg"
    assert get(url, server.url, known_as=["http://localhost:8080"]) == IMAGE
    assert server.requests[0].path == "/data/local-files/?d=set1/im0.jpg"
    assert tokens(server) == [f"Token {TOKEN}"]


def test_an_image_elsewhere_is_fetched_without_the_token(server: LoopbackServer):
    url = f"http://localhost:{server.port}/im0.jpg"
    assert get(url, "http://label-studio:8080", hosts=["localhost"]) == IMAGE
    assert tokens(server) == [None]


def test_another_port_of_the_same_host_is_elsewhere(server: LoopbackServer):
    assert get(f"{server.url}/a.png", "http://127.0.0.1:1", hosts=["127.0.0.1"]) == IMAGE
    assert tokens(server) == [None]


def test_spaces_and_letters_of_any_kind_may_stand_in_an_address(server: LoopbackServer):
    assert get("/data/local-files/?d=Straße/im 0.jpg", server.url) == IMAGE
    assert server.requests[0].path == "/data/local-files/?d=Stra%C3%9Fe/im%200.jpg"


def test_the_token_does_not_follow_a_redirect_to_another_origin(server: LoopbackServer):
    def elsewhere(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        return Answer(302, headers={"Location": f"http://localhost:{server.port}/signed?key=1"})

    with loopback_server(elsewhere) as studio:
        assert get("/data/upload/1/a.png", studio.url, hosts=["localhost"]) == IMAGE
        assert tokens(studio) == [f"Token {TOKEN}"]
    assert tokens(server) == [None]


def test_the_token_is_not_sent_after_a_way_back_from_elsewhere(server: LoopbackServer):
    def back(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        return Answer(302, headers={"Location": f"{server.url}/data/upload/1/a.png"})

    with loopback_server(back) as stranger:
        url = f"http://localhost:{stranger.port}/a.png"
        assert get(url, server.url, hosts=["localhost"]) == IMAGE
        assert tokens(stranger) == [None]
    assert tokens(server) == [None]


def test_a_redirect_from_elsewhere_leads_to_no_page_of_label_studio(server: LoopbackServer):
    there = answering(Answer(302, headers={"Location": f"{server.url}/api/projects/"}))
    with loopback_server(there) as stranger:
        url = f"http://localhost:{stranger.port}/a.png"
        assert "nothing else" in str(refusal(url, server.url, hosts=["localhost"]))
    assert server.requests == []


def test_the_token_follows_a_redirect_within_label_studio():
    def moved(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        if request.path == "/data/upload/3/new":
            return Answer(body=IMAGE)
        return Answer(307, headers={"Location": "/data/upload/3/new"})

    with loopback_server(moved) as studio:
        assert get("/data/upload/3/old", studio.url) == IMAGE
        assert tokens(studio) == [f"Token {TOKEN}"] * 2


def test_an_address_that_parsers_disagree_on_gets_no_token(server: LoopbackServer):
    """Some read the host before the backslash, where the connection goes, some the one behind."""
    url = f"http://localhost:{server.port}\\@label-studio:8080/"
    assert get(url, "http://label-studio:8080", hosts=["localhost"]) == IMAGE
    assert tokens(server) == [None]


def test_a_password_in_netrc_is_not_used(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login anna password swordfish\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert get("/data/upload/3/a.png", server.url) == IMAGE
    assert get("/data/upload/3/a.png", server.url, token=None) == IMAGE
    assert tokens(server) == [f"Token {TOKEN}", None]


def test_no_proxy_stands_between(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch):
    """Behind a proxy, the address of the connection cannot be checked."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert get("/a.png", server.url) == IMAGE


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]"],
)
def test_a_private_address_is_refused_however_it_is_written(server: LoopbackServer, host: str):
    error = refusal(f"http://{host}:{server.port}/a.png", "http://label-studio:8080")
    assert "IMAGE_HOSTS" in str(error)
    assert not error.retryable
    assert server.requests == []


def test_a_redirect_to_a_private_address_is_refused(server: LoopbackServer):
    def inwards(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        return Answer(302, headers={"Location": f"http://127.0.0.1:{server.port}/secret"})

    with loopback_server(inwards) as outside:
        url = f"http://localhost:{outside.port}/a.png"
        assert "IMAGE_HOSTS" in str(refusal(url, "http://label-studio:8080", hosts=["localhost"]))
    assert server.requests == []


def test_a_name_is_resolved_once_and_its_private_addresses_are_left_out(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
):
    """A name server that says something else the second time must not help an attacker."""
    asked = []

    def name_server(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    error = refusal(f"http://images.example:{server.port}/a.png", "http://label-studio:8080")
    assert "images.example at 127.0.0.1" in str(error)
    assert asked == ["images.example"]
    assert server.requests == []


def answering(answer: Answer) -> Handle:
    return lambda request, handler: answer


def test_an_image_larger_than_announced_as_allowed_is_not_even_read():
    with loopback_server(answering(Answer(length=10**12))) as studio:
        error = refusal("/a.png", studio.url)
    assert "at most 1000 bytes" in str(error)
    assert "MAX_IMAGE_BYTES" in str(error)
    assert not error.retryable


def test_an_image_without_end_is_given_up():
    def endless(_: Request, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(1 << 16))

    with loopback_server(endless) as studio:
        assert "at most 1000000 bytes" in str(refusal("/a.png", studio.url, max_bytes=1_000_000))


def test_what_unpacks_to_too_much_is_refused():
    packed = gzip.compress(bytes(10**7))
    with loopback_server(
        answering(Answer(body=packed, headers={"Content-Encoding": "gzip"}))
    ) as studio:
        assert "at most" in str(refusal("/a.png", studio.url, max_bytes=10**6))


def test_the_largest_allowed_image_is_fetched():
    for length in (True, False):
        with loopback_server(answering(Answer(body=bytes(1000), length=length))) as studio:
            assert get("/a.png", studio.url, max_bytes=1000) == bytes(1000)


def test_an_image_shorter_than_announced_may_be_whole_another_time():
    with loopback_server(answering(Answer(body=IMAGE, length=1000))) as studio:
        error = refusal("/a.png", studio.url)
    assert error.retryable
    assert "no complete answer" in str(error)


def test_an_empty_answer_is_no_bytes():
    """Whether it is an image is for the decoder to say."""
    with loopback_server(answering(Answer())) as studio:
        assert get("/a.png", studio.url) == b""


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.0 200 OK\r\nX: ",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 900\r\n\r\n",
    ],
)
def test_a_server_that_drips_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, start: bytes):
    """Each pause is short; only the whole is too long."""

    def drip(_: Request, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.01)

    monkeypatch.setattr(images, "WHOLE_TIMEOUT", 0.2)
    with loopback_server(drip) as studio:
        error = refusal("/a.png", studio.url)
    assert "within 0.2 s" in str(error)
    assert error.retryable


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guarded_connections, "READ_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refusal("/a.png", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "timed out" in str(error)
    assert error.retryable


def test_a_server_that_is_not_there_may_be_there_later():
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    error = refusal("/a.png", f"http://127.0.0.1:{port}")
    assert "Connection refused" in str(error)
    assert error.retryable


@pytest.mark.parametrize(
    "page",
    [
        Answer(body=b"\n <!DOCTYPE html><p>Log in</p>"),
        Answer(body=b"\xef\xbb\xbf<!-- <p> -->\n<!-- --><!doctype HTML><p>Log in</p>"),
        Answer(body="\ufeff<HTML lang=de><p>Anmelden</p>".encode("utf-16-le")),
        Answer(body=b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>'),
        Answer(body=b"<html><p>Log in</p></html>", headers={"Content-Type": "image/jpeg"}),
    ],
)
def test_a_page_to_log_in_at_is_no_image(page: Answer):
    with loopback_server(answering(page)) as studio:
        error = refusal("/a.png", studio.url)
    assert "got a web page" in str(error)
    assert error.retryable


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/plain", "nonsense", ""])
def test_the_bytes_say_what_an_image_is_and_not_its_type(kind: str):
    answer = Answer(body=IMAGE, headers={"Content-Type": kind} if kind else {})
    with loopback_server(answering(answer)) as studio:
        assert get("/a.png", studio.url) == IMAGE


def test_an_image_that_a_proxy_has_changed_is_an_image():
    with loopback_server(answering(Answer(203, body=IMAGE))) as studio:
        assert get("/a.png", studio.url) == IMAGE


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(IMAGE, mtime=0)),
        ("GZIP", gzip.compress(IMAGE, mtime=0)),
        ("deflate", zlib.compress(IMAGE)),
        ("br", brotli.compress(IMAGE)),
        ("identity", IMAGE),
    ],
)
def test_an_image_that_is_sent_packed_is_unpacked(coding: str, packed: bytes):
    with loopback_server(
        answering(Answer(body=packed, headers={"Content-Encoding": coding}))
    ) as studio:
        assert get("/a.png", studio.url) == IMAGE
        assert studio.requests[0].headers["accept-encoding"] == "identity"


def test_a_packing_that_is_not_known_is_named():
    answer = Answer(body=IMAGE, headers={"Content-Encoding": "zstd"})
    with loopback_server(answering(answer)) as studio:
        error = refusal("/a.png", studio.url)
    assert "packed by 'zstd'" in str(error)
    assert not error.retryable


def test_what_is_not_packed_as_announced_is_no_image():
    answer = Answer(body=IMAGE, headers={"Content-Encoding": "br"})
    with loopback_server(answering(answer)) as studio:
        assert "no complete answer" in str(refusal("/a.png", studio.url))


def test_what_unpacks_to_too_much_from_brotli_is_refused():
    packed = brotli.compress(bytes(10**7))
    answer = Answer(body=packed, headers={"Content-Encoding": "br"})
    with loopback_server(answering(answer)) as studio:
        assert "at most" in str(refusal("/a.png", studio.url, max_bytes=10**6))


def test_a_redirect_in_raw_utf_8_is_followed_as_browsers_do():
    def there(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        if request.path == "/a.png":
            location = "/Größe/ß%20.png".encode().decode("latin-1")
            return Answer(302, headers={"Location": location})
        return Answer(body=request.path.encode())

    with loopback_server(there) as studio:
        assert get("/a.png", studio.url) == b"/Gr%C3%B6%C3%9Fe/%C3%9F%20.png"


def test_an_address_may_leave_the_scheme_to_the_page(server: LoopbackServer):
    with loopback_server(image) as other:
        address = f"//localhost:{other.port}/a.png"
        assert get(address, server.url, hosts=["localhost"]) == IMAGE
        assert tokens(other) == [None]
    assert get(f"//127.0.0.1:{server.port}/data/upload/3/a.png", server.url) == IMAGE
    assert tokens(server) == [f"Token {TOKEN}"]


def test_the_version_is_the_project_s():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["version"]) == (NAME, VERSION)


def test_every_request_says_whose_it_is(server: LoopbackServer):
    get("/a.png", server.url)
    assert server.requests[0].headers["user-agent"] == user_agent(None)
    get("/a.png", server.url, agent=user_agent("anna@example.org"))
    assert server.requests[1].headers["user-agent"] == (
        f"keypoint-prelabelling/{VERSION} (anna@example.org)"
    )


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"Please set a user-agent and respect our robot policy\nMore.", "Please set a user-agent"),
        (b"<!doctype html><title>Denied &amp; gone</title>\n<p>x", "Denied & gone"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "AccessDenied"),
        (b'{"detail": "no such file"}', '{"detail": "no such file"}'),
        ("Größe überschritten".encode(), "Größe überschritten"),
    ],
)
def test_an_error_repeats_the_first_line_of_what_the_server_said(body: bytes, line: str):
    with loopback_server(answering(Answer(403, body=body))) as studio:
        assert f"got status 403 and “{line}" in str(refusal("/a.png", studio.url))


@pytest.mark.parametrize("body", [b"", b"\0\1\2" * 50, b"\xff\xfe" * 50, b"<p></p>"])
def test_an_error_repeats_nothing_that_is_no_text(body: bytes):
    with loopback_server(answering(Answer(404, body=body))) as studio:
        assert "got status 404" in str(refusal("/a.png", studio.url))
        assert "“" not in str(refusal("/a.png", studio.url))


def test_an_error_repeats_no_signature_even_if_the_server_does():
    body = (
        b"<Error><Message>Signature swordfish of ?X-Signature=swordfish expired</Message></Error>"
    )
    with loopback_server(answering(Answer(403, body=body))) as other:
        url = f"http://localhost:{other.port}/a.png?X-Signature=swordfish"
        error = refusal(url, "http://label-studio", hosts=["localhost"])
    assert "expired" in str(error)
    assert "swordfish" not in str(error)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (401, True),
        (403, True),
        (404, False),
        (410, False),
        (400, False),
        (206, False),
        (429, True),
        (500, True),
        (503, True),
    ],
)
def test_which_failures_may_pass(status: int, retryable: bool):
    with loopback_server(answering(Answer(status))) as studio:
        error = refusal("/a.png", studio.url)
    assert f"status {status}" in str(error)
    assert error.retryable is retryable


def test_a_token_that_is_not_accepted_is_reported_where_it_was_sent(server: LoopbackServer):
    with loopback_server(answering(Answer(401))) as studio:
        assert "doctor" in str(refusal("/data/upload/3/a.png", studio.url))
        elsewhere = f"http://localhost:{studio.port}/a.png"
        assert "doctor" not in str(refusal(elsewhere, server.url, hosts=["localhost"]))


def test_redirects_come_to_an_end():
    with loopback_server(answering(Answer(302, headers={"Location": "/again"}))) as studio:
        assert "at most 5 redirects" in str(refusal("/a.png", studio.url))
        assert len(studio.requests) == 6


def test_a_redirect_to_a_file_is_refused():
    with loopback_server(answering(Answer(302, headers={"Location": "file:///etc/hosts"}))) as it:
        assert "local storage" in str(refusal("/a.png", it.url))


def test_what_a_signed_address_is_signed_with_is_not_repeated():
    with loopback_server(answering(Answer(404))) as other:
        url = f"http://anna:swordfish@localhost:{other.port}/a.png?X-Signature=swordfish"
        error = refusal(url, "http://label-studio", hosts=["localhost"])
    assert f"http://localhost:{other.port}/a.png" in str(error)
    assert "swordfish" not in str(error)


def test_cloud_storage_is_asked_for_through_label_studio():
    """Label Studio has the keys, and redirects to an address that it has signed."""

    def resolve(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        asked = base64.urlsafe_b64encode(b"s3://bucket/im 0.jpg").decode()
        if request.path == f"/tasks/7/resolve/?fileuri={asked}":
            return Answer(303, headers={"Location": f"http://localhost:{bucket.port}/signed"})
        return Answer(404)

    with loopback_server(image) as bucket, loopback_server(resolve) as studio:
        got = get("s3://bucket/im 0.jpg", studio.url, task_id=7, hosts=["localhost"])
        assert got == IMAGE
        assert tokens(bucket) == [None]
        assert "cloud storage" in str(refusal("gs://bucket/a.jpg", studio.url, task_id=7))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://bucket/a.jpg", "pre-signed"),
        ("gs://bucket/a.jpg", "pre-signed"),
        ("azure-blob://container/a.jpg", "pre-signed"),
        ("file:///srv/a.jpg", "local storage"),
        ("ftp://host/a.jpg", "expected http://"),
        ("C:\\images\\a.jpg", "expected http://"),
        ("images/a.jpg", "expected http://"),
        ("", "expected the address"),
        (None, "expected the address"),
        (["a.jpg"], "expected the address"),
        ("http://", "expected the address"),
        ("http://[/a.jpg", "expected the address"),
        ("http://" + "a" * 70 + ".example/a.jpg", "expected"),
    ],
)
def test_an_address_that_cannot_be_fetched_says_what_to_do(url: Any, says: str):
    assert says in str(refusal(url, "http://label-studio"))


def test_an_image_may_stand_in_the_task_itself():
    encoded = base64.b64encode(IMAGE).decode()
    for url in (
        f"data:image/png;base64,{encoded}",
        f"data:image/png;base64,{encoded[:8]}\n {encoded[8:]}",
        "data:image/png;base64," + encoded.replace("=", "%3D"),
        "DATA:,%89PNG%20as good as any",
    ):
        assert get(url, "http://label-studio") == IMAGE


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:image/png;base64", "expected data:"),
        ("data:image/png;base64,a", "expected base64"),
        ("data:image/png;base64,ä", "expected base64"),
        ("data:," + "x" * 1001, "at most 1000 bytes"),
        ("data:;base64," + base64.b64encode(bytes(1001)).decode(), "at most 1000 bytes"),
        ("data:," + "x" * 10**6, "at most 1000 bytes"),
    ],
)
def test_a_damaged_or_large_image_in_a_task_is_refused(url: str, says: str):
    error = refusal(url, "http://label-studio")
    assert says in str(error)
    assert len(str(error)) < 300


def test_a_personal_access_token_is_exchanged_first():
    def studio_with_tokens(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        if request.path == "/api/token/refresh/":
            return as_json({"access": "short.lived.one"})
        return Answer(body=IMAGE)

    with loopback_server(studio_with_tokens) as studio:
        assert get("/data/upload/3/a.png", studio.url, token="personal.access.token") == IMAGE
        assert tokens(studio) == [None, "Bearer short.lived.one"]


def test_a_personal_access_token_that_is_not_accepted_is_reported():
    with loopback_server(answering(as_json({}, 401))) as studio:
        error = refusal("/data/upload/3/a.png", studio.url, token="personal.access.token")
    assert "LABEL_STUDIO_API_KEY" in str(error)
    assert error.retryable


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl on this machine to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    made = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    )
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", f"{file}.key", "-out", str(file)]
    subprocess.run(["openssl", *made.split(), *names], check=True, capture_output=True)
    return file


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[LoopbackServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    with loopback_server(image, lambda it: context.wrap_socket(it, server_side=True)) as served:
        yield served


def test_an_image_comes_over_an_encrypted_connection(
    encrypted: LoopbackServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    url = f"https://localhost:{encrypted.port}/a.png"
    assert get(url, "http://label-studio", hosts=["localhost"]) == IMAGE
    assert get("/data/upload/3/a.png", f"https://localhost:{encrypted.port}") == IMAGE
    assert tokens(encrypted) == [None, f"Token {TOKEN}"]


def test_a_certificate_that_nobody_vouches_for_is_refused(encrypted: LoopbackServer):
    error = refusal("/a.png", f"https://localhost:{encrypted.port}")
    assert "REQUESTS_CA_BUNDLE" in str(error)
    assert error.retryable
    assert encrypted.requests == []


# The same rules for all who need images

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PROJECT = Project("3.1795347724", None, None, None)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


def images_of(studio: str | None, **settings: Any) -> Images:
    key = TOKEN if studio else None
    chosen = Settings(label_studio_url=studio, label_studio_api_key=key, **settings)
    return Images(chosen, LabelStudios(chosen))


def test_a_picture_is_fetched_with_the_token_of_the_settings_and_decoded():
    with loopback_server(answering(Answer(body=png()))) as studio:
        found = images_of(studio.url)
        assert np.array_equal(found.picture(PROJECT, "/data/upload/3/a.png", 1), PIXELS)
        assert found.content(PROJECT, "/data/upload/3/a.png", 1) == png()
        assert tokens(studio) == [f"Token {TOKEN}"] * 2


def test_a_picture_in_cloud_storage_is_asked_for_by_its_task():
    with loopback_server(answering(Answer(body=png()))) as studio:
        images_of(studio.url).picture(PROJECT, "s3://bucket/a.png", 7)
        assert studio.requests[0].path.startswith("/tasks/7/resolve/?fileuri=")


def test_a_picture_elsewhere_needs_no_label_studio_but_an_upload_does():
    with loopback_server(answering(Answer(body=png()))) as other:
        url = f"http://localhost:{other.port}/a.png"
        found = images_of(None, image_hosts=("localhost",))
        assert np.array_equal(found.picture(PROJECT, url, 1), PIXELS)
        assert tokens(other) == [None]
    with pytest.raises(NotDeliverable, match="LABEL_STUDIO_URL"):
        found.picture(PROJECT, "/data/upload/3/a.png", 1)


def test_a_picture_is_held_to_the_limits_of_the_settings():
    with loopback_server(answering(Answer(body=png()))) as studio:
        url = f"http://localhost:{studio.port}/a.png"
        with pytest.raises(ImageFetchError, match="MAX_IMAGE_BYTES"):
            images_of(studio.url, max_image_bytes=100).picture(PROJECT, "/a.png", 1)
        with pytest.raises(UnreadableImage, match="30 × 20"):
            images_of(studio.url, max_image_pixels=599).picture(PROJECT, "/a.png", 1)
        with pytest.raises(ImageFetchError, match="IMAGE_HOSTS"):
            images_of(studio.url).picture(PROJECT, url, 1)
        assert images_of(studio.url, max_image_pixels=600).picture(PROJECT, "/a.png", 1).any()


def test_bytes_that_are_no_picture_say_so(server: LoopbackServer):
    with pytest.raises(UnreadableImage, match="expected an image"):
        images_of(server.url).picture(PROJECT, "/a.png", 1)


def test_fetching_and_decoding_a_picture_loads_neither_torch_nor_opencv():
    """The web process does it for the report, and has a second to answer `/health`."""
    address = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    code = (
        "import sys\n"
        "from backend.labelstudio.images import Images\n"
        "from backend.labelstudio.projects import LabelStudios, Project\n"
        "from backend.settings import Settings\n"
        "images = Images(Settings(), LabelStudios(Settings()))\n"
        f"picture = images.picture(Project('3.1', None, None, None), {address!r}, 1)\n"
        "print(picture.shape, [name for name in ('torch', 'cv2') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "(20, 30, 3) []\n", ended.stderr
