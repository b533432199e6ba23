"""Time limits for whole requests, however slowly their answers come.

The time-out of `requests` is for each pause within an answer: one that trickles byte by byte would
hold a thread for ever. Here the connection is cut when the time is up.
"""

import contextlib
import socket
import threading
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError


class TimeLimit:
    """Cuts connections when the time is up, unless the block has ended before.

    Attributes:
        timed_out: whether the time was up before the block ended.
    """

    def __init__(self, seconds: float) -> None:
        self.timed_out = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()

    def check(self) -> None:
        """Raise `TimeoutError` if the time is up."""
        if self.timed_out:
            raise TimeoutError("the time was up before the connection stood")

    def watched(self, connected: socket.socket) -> socket.socket:
        """Return a connection that is cut when the time is up.

        Raises:
            TimeoutError: it is up already; the connection is closed.
        """
        # A second handle, because TLS detaches the first one.
        handle = socket.fromfd(connected.fileno(), connected.family, connected.type)
        with self._lock:
            self._sockets.append(handle)
            if not self.timed_out:
                return connected
        connected.close()
        raise TimeoutError("the time was up before the connection stood")

    def _cut(self) -> None:
        with self._lock:
            self.timed_out = True
            for connected in self._sockets:
                with contextlib.suppress(OSError):  # the other side has closed it already
                    connected.shutdown(socket.SHUT_RDWR)


class LimitedSession(requests.Session):
    """A session with a time limit for each request; safe for use by several threads at once."""

    def __init__(self) -> None:
        super().__init__()
        self.mount("http://", _Adapter())
        self.mount("https://", _Adapter())

    def request_within(
        self, seconds: float, method: str, url: str, **content: Any
    ) -> requests.Response:
        """Send a request, following no redirect, and read the whole answer.

        Args:
            seconds: time limit of all of that.
            content: further arguments of `request`; not `stream`.

        Raises:
            requests.Timeout: the time was up.
            requests.RequestException, ValueError: no answer, or no address.
        """
        answer = None
        with TimeLimit(seconds) as limit:
            _of_thread.limit = limit
            try:
                answer = self.request(method, url, allow_redirects=False, **content)
            except (requests.RequestException, HTTPError, OSError):
                if not limit.timed_out:
                    raise
            finally:
                _of_thread.limit = None
        if answer is None or limit.timed_out:
            raise requests.Timeout(f"no whole answer within {seconds:g} s")
        return answer


class _OfThread(threading.local):
    """The limit of the request that a thread is making."""

    limit: TimeLimit | None = None


_of_thread = _OfThread()


def _watched(connected: socket.socket) -> socket.socket:
    limit = _of_thread.limit
    return connected if limit is None else limit.watched(connected)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())

    def request(self, *arguments: Any, **more: Any) -> None:
        if self.sock is not None:  # it was kept open after another request
            _watched(self.sock)
        super().request(*arguments, **more)


class _EncryptedConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _EncryptedConnection


_POOLS = {"http": _Pool, "https": _EncryptedPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **more: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(*arguments, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager
