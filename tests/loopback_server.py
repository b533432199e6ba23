"""A real HTTP server on the loopback, whose answers are written by the test."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """What came in; the names of `headers` are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What goes out. Without `length` the body's own is announced; False announces none."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | bool = True


def as_json(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


# A handler may also write to the connection itself, and then returns None.
Handle = Callable[[Request, BaseHTTPRequestHandler], Answer | None]


@dataclass
class LoopbackServer:
    port: int
    host: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextmanager
def loopback_server(
    handle: Handle,
    wrap: Callable[[Any], Any] | None = None,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    keeps_open: bool = False,
) -> Iterator[LoopbackServer]:
    """Serve until the block ends; `wrap` turns the listening socket into an encrypted one.

    With `keeps_open`, connections stay open, as those to Label Studio do. Port 0 is any
    that is free. Only `hosts_run` has another address, of namespaces on this machine.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keeps_open else "HTTP/1.0"
        disable_nagle_algorithm = keeps_open  # or else the body waits for the head to arrive

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.rfile.read(length))
            served.requests.append(request)
            answer = handle(request, self)
            if answer is not None:
                self._send(answer)

        do_POST = do_PATCH = do_PUT = do_GET

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.length is not False:
                length = len(answer.body) if answer.length is True else answer.length
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up is what several tests are about."""

    server = Server((host, port), Handler)
    if wrap is not None:
        server.socket = wrap(server.socket)
    served = LoopbackServer(server.server_port, host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
