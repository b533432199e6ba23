"""Addresses in task data that would have the backend ask where it must not."""

import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from conftest import wait_until
from loopback_server import Answer, LoopbackServer, Request, loopback_server

from backend.labelstudio import guarded_connections, images
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.images import ImageFetchError, fetch
from backend.labelstudio.user_agent import user_agent

TOKEN = "0123456789abcdef0123456789abcdef01234567"
STUDIO = "http://label-studio.example:8080"
IMAGE = b"\x89PNG as good as any"

# The loopback in all its forms; PORT is where a server listens that would answer.
LOOPBACK = [
    "http://127.0.0.1:PORT/a.png",
    "http://127.0.0.1.:PORT/a.png",
    "http://127.1:PORT/a.png",
    "http://127.0.1:PORT/a.png",
    "http://127.255.255.254:PORT/a.png",
    "http://2130706433:PORT/a.png",
    "http://017700000001:PORT/a.png",
    "http://0177.0.0.1:PORT/a.png",
    "http://0177.0.0.01:PORT/a.png",
    "http://0x7f000001:PORT/a.png",
    "http://0x7f.0.0.1:PORT/a.png",
    "http://0x7F.0x0.0x0.0x1:PORT/a.png",
    "http://0x7f.1:PORT/a.png",
    "http://0.0.0.0:PORT/a.png",
    "http://0:PORT/a.png",
    "http://localhost:PORT/a.png",
    "http://LOCALHOST:PORT/a.png",
    "http://localhost.:PORT/a.png",
    "http://[::1]:PORT/a.png",
    "http://[0:0:0:0:0:0:0:1]:PORT/a.png",
    "http://[::]:PORT/a.png",
    "http://[::ffff:127.0.0.1]:PORT/a.png",
    "http://[::ffff:7f00:1]:PORT/a.png",
    "http://[::127.0.0.1]:PORT/a.png",
    "http://[::ffff:0:127.0.0.1]:PORT/a.png",
    "http://[::1%25lo]:PORT/a.png",
    "http://anna:secret@127.0.0.1:PORT/a.png",
    "http://images.example@127.0.0.1:PORT/a.png",
    "http://127.0.0.1:PORT\\@images.example/a.png",
    "http://127.0.0.1:PORT#@images.example/a.png",
    "http://127.0.0.1:PORT?@images.example/a.png",
    "http:\\\\127.0.0.1:PORT/a.png",
    "HTTP://127.0.0.1:PORT/a.png",
    "//127.0.0.1:PORT/a.png",
    " http://127.0.0.1:PORT/a.png ",
    "http://１２７.０.０.１:PORT/a.png",
    "http://127。0。0。1:PORT/a.png",
    "http://①②⑦.0.0.1:PORT/a.png",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/a.png",
    "http://loc\u00adalhost:PORT/a.png",
    "http://%31%32%37.0.0.1:PORT/a.png",
    "http://127.0.0.1%00.images.example:PORT/a.png",
]

# Other places that are nobody's business, and what the system's resolver is not asked about.
PLACES = [
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://0251.0376.0251.0376/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://[::a9fe:a9fe]/latest/meta-data/",
    "http://[64:ff9b::a9fe:a9fe]/latest/meta-data/",
    "http://[64:ff9b:1::a9fe:a9fe]/latest/meta-data/",
    "http://[2002:a9fe:a9fe::1]/latest/meta-data/",
    "http://[2606:4700::5efe:a9fe:a9fe]/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/machine?comp=goalstate",
    "http://192.0.0.192/opc/v1/",
    "http://10.0.0.1/a.png",
    "http://172.16.0.1/a.png",
    "http://192.168.0.1/a.png",
    "http://100.64.0.1/a.png",
    "http://198.18.0.1/a.png",
    "http://224.0.0.1/a.png",
    "http://255.255.255.255/a.png",
    "http://[fe80::1]/a.png",
    "http://[fe80::1%25eth0]/a.png",
    "http://[fec0::1]/a.png",
    "http://[fd12:3456:789a::1]/a.png",
    "http://[ff02::1]/a.png",
    "http://[100::1]/a.png",
    "http://[2001:db8::1]/a.png",
]

# Names of a hostile name server, and the addresses that it gives for them.
NAMES = {
    "http://loopback.example/a.png": ["127.0.0.1"],
    "http://loopback.example./a.png": ["127.0.0.1", "::1"],
    "http://metadata.example/a.png": ["169.254.169.254"],
    "http://nat64.example/a.png": ["64:ff9b::7f00:1"],
    "http://mapped.example/a.png": ["::ffff:10.0.0.1"],
    "http://scoped.example/a.png": ["fe80::1%eth0"],
    "http://xn--pple-43d.example/a.png": ["10.0.0.1"],
}

# What is no address of an image at all.
OTHERS = [
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "ftp://127.0.0.1/a.png",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "dict://127.0.0.1:6379/FLUSHALL",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "http://",
    "http:///a.png",
    "http://[::1/a.png",
    "http://127.0.0.1:99999/a.png",
    "http://127.0.0.1:-1/a.png",
    "http://images.example:80\r\nHost: other/a.png",
    f"http://{'a' * 300}.example/a.png",
    "http://-.example\u202e/a.png",
]

# Paths of Label Studio that are not those of images.
PATHS = [
    "/api/projects",
    "/api/projects/?page=1",
    "/api/current-user/token",
    "/data/upload/../../api/projects",
    "/data/upload/%2e%2e/%2e%2e/api/projects",
    "/data/upload/%252e%252e/%252e%252e/api/projects",
    "/data/upload/..%2f..%2fapi/projects",
    "/data/upload/..\\..\\api\\projects",
    "/data/local-files/../../api/projects",
    "/data/upload",
    "/tasks/1/resolve/../../../api/projects",
    "/tasks/all/resolve/",
    "/projects/1/resolve/x",
    "/metrics/",
    "/admin/",
    "//STUDIO/api/projects",
    "http://STUDIO/api/projects",
    "http://anna@STUDIO/api/projects",
]


# Browsers and we take these, in a redirect, for paths of the server that redirects.
RELATIVE = ("http:\\\\127.0.0.1:PORT/a.png", "http://", "http:///a.png")


def everything() -> list[str]:
    return [*LOOPBACK, *PLACES, *NAMES, *OTHERS, *PATHS]


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with loopback_server(lambda request, handler: Answer(body=IMAGE)) as served:
        yield served


def studio(url: str = STUDIO) -> LabelStudio:
    return LabelStudio(url, TOKEN, known_as=[], agent=user_agent(None))


def refused(address: str, url: str = STUDIO, **more: Any) -> ImageFetchError:
    with pytest.raises(ImageFetchError) as caught:
        fetch(address, studio(url), max_bytes=100_000, **more)
    sentence = str(caught.value)
    assert "\n" not in sentence and "Traceback" not in sentence
    assert TOKEN not in sentence and "secret" not in sentence
    return caught.value


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer for names as the name server of NAMES; numbers are read as the system reads them."""
    asked = socket.getaddrinfo
    known = {address.split("/")[2]: found for address, found in NAMES.items()}

    def name_server(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        if host in known:
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in known[host]]
        if host.rstrip(".").lower() == "localhost":
            return asked(host, port, *rest, **more)
        try:
            return asked(host, port, *rest, flags=socket.AI_NUMERICHOST, **more)
        except socket.gaierror:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None

    monkeypatch.setattr(socket, "getaddrinfo", name_server)


def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note where connections would go, and make none but on the loopback."""
    tried: list[str] = []
    connect = guarded_connections.create_connection

    def noting(address: tuple[str, int], *rest: Any, **more: Any) -> socket.socket:
        tried.append(address[0])
        return connect(address, *rest, **more)

    monkeypatch.setattr(guarded_connections, "create_connection", noting)
    return tried


def test_there_are_sixty_hostile_addresses_and_more():
    assert len(set(everything())) == len(everything()) >= 60


@pytest.mark.usefixtures("resolver")
@pytest.mark.parametrize("address", [*LOOPBACK, *PLACES, *NAMES, *OTHERS])
def test_a_hostile_address_is_refused_and_no_connection_is_made(
    address: str, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
):
    tried = connected(monkeypatch)
    refused(address.replace("PORT", str(server.port)))
    assert tried == []
    assert server.requests == []


@pytest.mark.usefixtures("resolver")
@pytest.mark.parametrize(
    "address",
    [each for each in (*LOOPBACK, *PLACES, *NAMES, *OTHERS) if each not in RELATIVE],
)
def test_a_redirect_to_a_hostile_address_is_refused(address: str):
    """A server that the operator trusts leads there."""

    def lead(request: Request, handler: BaseHTTPRequestHandler) -> Answer:
        location = address.replace("PORT", "1").strip().replace("\r\n", "%0d%0a")
        return Answer(302, headers={"Location": location.encode().decode("latin-1")})

    with loopback_server(lead) as trusted:
        refused(f"http://localhost:{trusted.port}/a.png", hosts=["localhost"])
        assert len(trusted.requests) == 1


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("prefix", ["", "/studio"])
def test_of_label_studio_only_the_paths_of_images_are_fetched(
    path: str, prefix: str, server: LoopbackServer
):
    address = path.replace("STUDIO", f"127.0.0.1:{server.port}")
    error = refused(address, f"{server.url}{prefix}")
    assert not error.retryable
    assert server.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/data/upload/3/a.png",
        "/data/upload/3/a..b.png",
        "/data/upload/3/100%25.png",
        "/data/local-files/?d=a/../b.png",
        "/storage-data/uploaded/?filepath=upload/3/a.png",
        "/tasks/7/resolve/?fileuri=czM6Ly9i",
        "/tasks/7/presign/?fileuri=czM6Ly9i",
        "/projects/3/resolve/?fileuri=czM6Ly9i",
    ],
)
@pytest.mark.parametrize("prefix", ["", "/studio"])
def test_images_of_a_private_label_studio_stay_reachable_with_the_token(path: str, prefix: str):
    with loopback_server(lambda request, handler: Answer(body=IMAGE)) as served:
        url = f"{served.url}{prefix}"
        assert fetch(path, studio(url), max_bytes=1000) == IMAGE
        assert fetch(url + path, studio(url), max_bytes=1000) == IMAGE
        for request in served.requests:
            assert request.path.startswith(prefix + path[:8])
            assert request.headers["authorization"] == f"Token {TOKEN}"


def test_other_images_of_its_server_are_fetched_without_the_token():
    with loopback_server(lambda request, handler: Answer(body=IMAGE)) as served:
        own = studio(f"{served.url}/studio")
        address = f"{served.url}/pictures/a.png"
        assert fetch(address, own, max_bytes=1000) == IMAGE
        assert "authorization" not in served.requests[0].headers
        refused(f"{served.url}/pictures/a", f"{served.url}/studio")


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch):
    """A name server that changes its answer after the first question (DNS rebinding)."""
    answers = [["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]]

    def name_server(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answers.pop(0)]

    tried: list[str] = []

    def refuse(address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        tried.append(address[0])
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    monkeypatch.setattr(guarded_connections, "create_connection", refuse)
    refused("http://rebinding.example/a.png")
    assert tried == ["93.184.216.34"]
    assert len(answers) == 2


def test_a_name_with_a_thousand_silent_addresses_ends_at_the_time_limit(
    monkeypatch: pytest.MonkeyPatch,
):
    def name_server(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        ips = [f"93.184.{number // 250}.{number % 250 + 1}" for number in range(1000)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]

    def silent(*_: Any, **__: Any) -> socket.socket:
        time.sleep(0.05)
        raise TimeoutError("silent")

    monkeypatch.setattr(socket, "getaddrinfo", name_server)
    monkeypatch.setattr(guarded_connections, "create_connection", silent)
    monkeypatch.setattr(images, "WHOLE_TIMEOUT", 0.3)
    began = time.monotonic()
    assert "within 0.3 s" in str(refused("http://many.example/a.png"))
    assert time.monotonic() - began < 25  # of the 50 s that all of them take


Drip = Callable[[BaseHTTPRequestHandler], None]


def one_byte_a_time(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def headers_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1000):
        handler.wfile.write(b"X-%d: x\r\n" % number)
        time.sleep(0.05)


def one_header_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    _write_for_long(handler)


def body_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    _write_for_long(handler)


def length_of_a_chunk_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    _write_for_long(handler)


def trailers_without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    _write_for_long(handler, b"X: " + b"y" * 1000 + b"\r\n")


def answers_that_continue(handler: BaseHTTPRequestHandler) -> None:
    _write_for_long(handler, b"HTTP/1.1 100 Continue\r\n\r\n")


def _write_for_long(handler: BaseHTTPRequestHandler, part: bytes = b"0" * 1000) -> None:
    """Write until the other side hangs up; 200 MB at the most."""
    for _ in range(200_000_000 // (1000 * len(part))):
        handler.wfile.write(part * 1000)


@pytest.mark.parametrize(
    "answer",
    [
        one_byte_a_time,
        headers_without_end,
        one_header_without_end,
        body_without_end,
        length_of_a_chunk_without_end,
        trailers_without_end,
        answers_that_continue,
    ],
)
def test_an_answer_without_end_ends_in_time_and_takes_no_memory(
    answer: Drip, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(images, "WHOLE_TIMEOUT", 1.0)

    def handle(request: Request, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        answer(handler)

    tracemalloc.start()
    try:
        with loopback_server(handle) as served:
            refused(f"http://localhost:{served.port}/a.png", hosts=["localhost"])
            _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 50_000_000
    # A timer that was called off ends a moment later.
    wait_until(lambda: not any(isinstance(each, threading.Timer) for each in threading.enumerate()))
