"""Clients that are slow, silent or rude, against the real web process: they keep nobody waiting.

Each of these clients took a thread of gunicorn's own worker, or held up its main loop.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from conftest import wait_until
from serving import PLAIN_ENVIRONMENT, ROOT

from backend.database.prepare import prepare_database
from backend.local.label_studio import free_port
from backend.local.processes import end, spawn
from backend.settings import Settings
from backend.web.server import web_command

THREADS = 4
CLIENTS = 40
CONNECTIONS = 60
POST = b"POST /webhook HTTP/1.1\r\nHost: localhost\r\n"
EVENT = b'{"action": "ANNOTATION_CREATED", "project": {"id": 3}}'
LENGTH = b"Content-Length: %d\r\n" % len(EVENT)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVENT), EVENT)
# Sent, and what is missing.
HALVES = {
    "nothing": (b"", POST + LENGTH + b"\r\n" + EVENT),
    "half a line": (POST[:9], POST[9:] + LENGTH + b"\r\n" + EVENT),
    "half a head": (POST, LENGTH + b"\r\n" + EVENT),
    "half a body": (POST + LENGTH + b"\r\n" + EVENT[:9], EVENT[9:]),
    "half a chunk": (POST + CHUNKED + b"\r\n" + CHUNKS[:9], CHUNKS[9:]),
    "chunks without end": (POST + CHUNKED + b"\r\n" + CHUNKS[:-2], b"\r\n"),
}
# What is short outside of tests.
FASTER = "w.REQUEST_SECONDS, w.STALLED_SECONDS, w.CLOSING_SECONDS"
# gunicorn's program, with a short way for answers, as that to a client on a slow line.
START = """
import socket, sys
import backend.web.gunicorn_worker as w
from gunicorn.app.wsgiapp import run
from gunicorn.workers import gthread

class ShortWay(gthread.TConn):
    def __init__(self, cfg, sock, *more):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().__init__(cfg, sock, *more)

gthread.TConn = ShortWay
{faster}
sys.argv[0] = {module!r}
run()
"""


class Web:
    """The web process with few threads, and clients that a test makes."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.url, self._stack = url, stack
        place = urlsplit(url)
        self.address = (str(place.hostname), int(place.port or 0))

    def client(self, sends: bytes) -> socket.socket:
        """Connect, send this, and keep the connection."""
        client = self._stack.enter_context(socket.socket())
        client.settimeout(60)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # little is on the way
        client.connect(self.address)
        client.sendall(sends)
        return client

    def clients(self, sends: bytes, count: int = CLIENTS) -> list[socket.socket]:
        return [self.client(sends) for _ in range(count)]

    def health(self) -> int:
        """Status of /health, for which Label Studio waits a second; a hang fails the test."""
        return requests.get(f"{self.url}/health", timeout=15).status_code


def answer_of(client: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


Start = Callable[..., Web]


@pytest.fixture
def start(unread_weights: Path, tmp_path: Path) -> Iterator[Start]:
    """Start gunicorn as `serve` does; `seconds` are the limits of FASTER."""
    with ExitStack() as stack:

        def started(seconds: tuple[float, ...] = ()) -> Web:
            settings = Settings(
                data_dir=tmp_path, model_weights=str(unread_weights), threads=THREADS
            )
            prepare_database(settings)
            port = free_port()
            python, _, module, *arguments = web_command(settings, bind=f"127.0.0.1:{port}")
            place = arguments.index("--worker-connections") + 1
            arguments[place] = str(CONNECTIONS)
            code = START.format(module=module, faster=f"{FASTER} = {seconds}" if seconds else "")
            with (tmp_path / "web.log").open("wb") as output:
                variables = {
                    "REDIS_URL": "redis://127.0.0.1:1/0",
                    "DATA_DIR": str(tmp_path),
                    "MODEL_WEIGHTS": str(unread_weights),
                }
                command = [python, "-c", code, *arguments]
                process = spawn(command, env=PLAIN_ENVIRONMENT | variables, output=output, cwd=ROOT)
            stack.callback(end, process, grace=10)
            web = Web(f"http://127.0.0.1:{port}", stack)

            def answers() -> bool:
                try:
                    return web.health() == 200
                except requests.ConnectionError:
                    return False

            wait_until(answers, seconds=60)
            return web

        yield started
    assert "Traceback" not in (tmp_path / "web.log").read_text()
    assert "WORKER TIMEOUT" not in (tmp_path / "web.log").read_text()


@pytest.mark.parametrize("name", HALVES)
def test_whoever_sends_half_a_request_keeps_nobody_waiting_and_may_send_the_rest(
    start: Start, name: str
) -> None:
    web = start()
    sent, missing = HALVES[name]
    clients = web.clients(sent)
    assert [web.health() for _ in range(5)] == [200] * 5
    for client in clients:
        client.sendall(missing)
        client.shutdown(socket.SHUT_WR)
    assert {answer_of(client).split(b"\r\n")[0] for client in clients} == {b"HTTP/1.1 200 OK"}


def test_whoever_does_not_close_an_answered_connection_keeps_nobody_waiting(start: Start) -> None:
    web = start()
    clients = web.clients(b"GET /versions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert [web.health() for _ in range(5)] == [200] * 5
    assert all(answer_of(client).startswith(b"HTTP/1.1 200 OK") for client in clients)


def test_whoever_keeps_connections_does_not_keep_others_from_connecting(start: Start) -> None:
    web = start()
    web.clients(POST, CONNECTIONS + 20)
    assert [web.health() for _ in range(5)] == [200] * 5


def test_a_request_that_does_not_come_in_time_is_ended(start: Start) -> None:
    web = start(seconds=(1.0, 1, 1.0))
    silent, half = web.client(b""), web.client(POST)
    assert answer_of(silent) == b""
    assert answer_of(half).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_reads_nothing_of_a_long_answer_is_hung_up_on(start: Start) -> None:
    web = start(seconds=(5.0, 1, 1.0))
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    web.clients(request * 9, 2 * THREADS)
    time.sleep(3)  # all threads have something to send
    assert [web.health() for _ in range(5)] == [200] * 5


def test_a_request_that_comes_byte_by_byte_is_answered(start: Start) -> None:
    web = start()
    for coding, body in ((LENGTH, EVENT), (CHUNKED, CHUNKS)):
        client = web.client(b"")
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in POST + coding + b"Connection: close\r\n\r\n" + body:
            client.sendall(bytes([byte]))
        assert answer_of(client).startswith(b"HTTP/1.1 200 OK")


def test_requests_that_come_at_once_are_answered_one_after_the_other(start: Start) -> None:
    web = start()
    event = POST + LENGTH + b"\r\n" + EVENT
    last = b"GET /versions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = answer_of(web.client(event * 3 + last))
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert b"versions" in answer.rpartition(b"HTTP/1.1")[2]


def test_a_client_that_waits_to_be_told_to_go_on_is_told_once(start: Start) -> None:
    web = start()
    head = POST + LENGTH + b"Expect: 100-continue\r\nConnection: close\r\n\r\n"
    client = web.client(head)
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(EVENT)
    assert answer_of(client).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("more", [b"", b"Expect: 100-continue\r\n"])
def test_a_body_that_is_too_large_is_refused_and_not_waited_for(start: Start, more: bytes) -> None:
    web = start()
    clients = web.clients(POST + more + b"Content-Length: 999999999999\r\n\r\n{")
    assert [web.health() for _ in range(5)] == [200] * 5
    assert all(answer_of(client).startswith(b"HTTP/1.1 413 ") for client in clients)


def test_a_large_body_comes_whole(start: Start) -> None:
    web = start()
    large = {"action": "X", "project": {"id": 3}, "text": os.urandom(2**20).hex() * 10}
    answer = requests.post(f"{web.url}/webhook", json=large, timeout=60)
    assert answer.status_code == 200, answer.text
