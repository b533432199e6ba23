"""gunicorn's worker with threads, kept from waiting for its clients.

gunicorn's own has a thread read from the client for as long as that takes, so that as many clients
as there are threads, each with half a request, keep it from answering anybody. Its main loop waits
up to two seconds for each client to close its side of a connection that has ended. Here the main
loop collects requests, and gives a thread to those that have come as a whole; it waits for nobody.
"""

import errno
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import get_parser
from gunicorn.workers.gthread import TConn, ThreadWorker

from backend.web.error_answers import LARGEST_BODY
from backend.web.request_bytes import RequestBytes

# A request has so long to come, and as much longer as its bytes take at this pace.
REQUEST_SECONDS = 30.0
SLOWEST_PACE = 10_000  # bytes a second
# All requests of a process that have not come as a whole, bytes.
MOST_HELD = 2 * LARGEST_BODY
# A client takes nothing of its answer for so long.
STALLED_SECONDS = 30
# A client has so long to close its side of a connection; closed earlier, it may lose the answer.
CLOSING_SECONDS = 2.0
AT_ONCE = 256 * 1024  # bytes that are read before it is another client's turn
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class CollectedSocket:
    """What gunicorn's parser reads from: bytes that were collected, and nothing to wait for."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._collected = memoryview(b"")

    def give(self, collected: bytes | bytearray) -> None:
        """Have these bytes read next."""
        self._collected = memoryview(collected)

    def take(self) -> bytes:
        """Return the collected bytes that were not read, and forget them."""
        rest, self._collected = bytes(self._collected), memoryview(b"")
        return rest

    def recv(self, size: int) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            ConnectionResetError: more is wanted of a request that is too large to be collected.
        """
        if self._collected:
            part = bytes(self._collected[:size])
            self._collected = self._collected[size:]
            return part
        before = self._socket.gettimeout()
        self._socket.setblocking(False)
        try:
            return self._socket.recv(size)
        except BlockingIOError:
            raise ConnectionResetError(errno.ECONNRESET, "nobody waits for the rest") from None
        finally:
            self._socket.settimeout(before)


class Arrival:
    """A request that is coming."""

    def __init__(self, received: bytes) -> None:
        self._began = time.monotonic()
        self.request = RequestBytes(received, limit=LARGEST_BODY)

    def is_too_slow(self, moment: float) -> bool:
        """Return whether the client has had time enough; `moment` on the monotonic clock, s."""
        allowed = REQUEST_SECONDS + len(self.request.received) / SLOWEST_PACE
        return moment - self._began > allowed


class CollectingWorker(ThreadWorker):  # type: ignore[misc]
    """Collects requests in its main loop, and handles each in a thread.

    All methods but `handle_request` are called in the main loop.
    """

    def __init__(self, *arguments: Any, **values: Any) -> None:
        super().__init__(*arguments, **values)
        # The oldest come first in both.
        self._arrivals: dict[TConn, Arrival] = {}
        self._closing: dict[TConn, float] = {}  # connection → when it is closed; monotonic, s
        self._swept_at = time.monotonic()

    def enqueue_req(self, conn: TConn) -> None:
        """Collect the next request of a connection, which is new or was kept."""
        received = b""
        if conn.parser is None:
            limit = struct.pack("ll", STALLED_SECONDS, 0)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            conn.parser = get_parser(self.cfg, CollectedSocket(conn.sock), conn.client)
        else:  # with the last request may have come a part of this one
            received = conn.parser.unreader.take_buffered()
        self._arrivals[conn] = arrival = Arrival(received)
        self._watch(conn, self._receive)
        if arrival.request.is_whole:
            self._hand_over(conn)
        else:
            self._receive(conn)
        while self.nr_conns >= self.worker_connections and (self._closing or self._arrivals):
            self._drop(next(iter(self._closing or self._arrivals)))  # so that others can connect

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Keep a connection, or close it, after an answer."""
        if not fs.cancelled() and fs.exception() is None and fs.result():
            unreader = conn.parser.unreader
            unreader.unread(unreader.take_buffered() + unreader.sock.take())
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client has closed it
            self.nr_conns -= 1
            conn.close()
            return
        self._closing[conn] = time.monotonic() + CLOSING_SECONDS
        self._watch(conn, self._drain)

    def murder_pending(self) -> None:
        """Close connections whose clients have had time enough; called again and again."""
        super().murder_pending()
        moment = time.monotonic()
        if moment - self._swept_at < 1.0:
            return
        self._swept_at = moment
        for conn in [conn for conn, end in self._closing.items() if end < moment]:
            self._drop(conn)
        for conn in [conn for conn, each in self._arrivals.items() if each.is_too_slow(moment)]:
            if self._arrivals[conn].request.received:
                with suppress(OSError):
                    conn.sock.send(TOO_SLOW)
            self._drop(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request.

        Raises:
            ConnectionResetError: the client does not read the answer.
        """
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:
            raise ConnectionResetError(errno.ECONNRESET, "the answer is not read") from None

    def _receive(self, conn: TConn, _: object = None) -> None:
        """Read what has come, and hand the request over if that is all of it."""
        try:
            part = conn.sock.recv(AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            self._drop(conn)
            return
        request = self._arrivals[conn].request
        if not part and not request.received:
            self._drop(conn)
            return
        if request.add(part):
            with suppress(OSError):
                conn.sock.send(CONTINUE)
        if request.is_whole or not part:  # gunicorn refuses what ends too early
            self._hand_over(conn)
        while self._held() > MOST_HELD:
            self._drop(next(iter(self._arrivals)))

    def _held(self) -> int:
        return sum(len(each.request.received) for each in self._arrivals.values())

    def _drain(self, conn: TConn, _: object = None) -> None:
        """Read what a client still sends, until it closes its side as well."""
        try:
            if conn.sock.recv(AT_ONCE):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._drop(conn)

    def _hand_over(self, conn: TConn) -> None:
        collected = self._arrivals[conn].request.received
        self._forget(conn)
        conn.parser.unreader.sock.give(collected)
        conn.data_ready = True
        super().enqueue_req(conn)

    def _watch(self, conn: TConn, act: Callable[[TConn, object], None]) -> None:
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, EVENT_READ, partial(act, conn))

    def _forget(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        self._arrivals.pop(conn, None)
        self._closing.pop(conn, None)

    def _drop(self, conn: TConn) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()
