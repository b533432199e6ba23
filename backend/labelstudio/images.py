"""Guarded download: where an image may come from, and how large it may be.

The addresses stand in task data, which whoever imports tasks writes. So private addresses are
refused, judged by the address that is really connected to, and Label Studio's token goes to its own
origin alone.
"""

import base64
import binascii
import contextlib
import socket
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import SOCK_STREAM
from typing import Self
from urllib.parse import unquote_to_bytes, urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url
from urllib3.util.connection import create_connection

from backend.labelstudio.client import LabelStudio, LabelStudioError, innermost

CONNECT_TIMEOUT = 5.0  # s
READ_TIMEOUT = 15.0  # s, for each pause
WHOLE_TIMEOUT = 120.0  # s, redirects and all
REDIRECTS = 5
CHUNK = 1 << 16
PASSING = {408, 425, 429}

# Storage that Label Studio itself has the keys to.
CLOUD = ("s3", "gs", "azure-blob")
RESOLVE = "/resolve/?fileuri="

NAT64 = ip_network("64:ff9b::/96")

# What the environment says of proxies does not count: behind one, addresses cannot be judged.
NO_PROXIES = {"http": "", "https": "", "all": ""}


class ImageFetchError(Exception):
    """An image could not be had; str() is a sentence for a person.

    Attributes:
        retryable: whether it may be had later.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


def fetch(
    url: str,
    label_studio: LabelStudio,
    *,
    max_bytes: int,
    hosts: Sequence[str] = (),
    task_id: int | None = None,
) -> bytes:
    """The bytes of an image, whatever they are.

    Args:
        url: as task data has it: an upload or local file of Label Studio, http(s), `data:`, or,
            with `task_id`, an object of cloud storage that Label Studio has the keys to.
        label_studio: whose files and token are meant.
        max_bytes: larger answers are refused.
        hosts: names of hosts that may have private addresses, besides Label Studio's.
        task_id: of the task whose image it is.

    Raises:
        ImageFetchError: it cannot be had, or not from there.
    """
    if not isinstance(url, str) or not url.strip():
        raise ImageFetchError(f"expected the address of an image, got {url!r}")
    url = url.strip()
    scheme = url.partition(":")[0].lower()
    if scheme == "data":
        return _from_data_uri(url, max_bytes)
    if scheme in CLOUD and task_id is not None:
        uri = base64.urlsafe_b64encode(url.encode()).decode()
        url = f"/tasks/{task_id}{RESOLVE}{uri}"
    address = label_studio.locate(url)
    with _Connections(WHOLE_TIMEOUT) as connections:
        try:
            content = _download(connections, address, label_studio, max_bytes, hosts)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            if not connections.ended:
                raise _translated(error, _shown(address, label_studio)) from None
    if connections.ended:
        raise ImageFetchError(
            f"expected all of {_shown(address, label_studio)} within {WHOLE_TIMEOUT:g} s, "
            "got only a part of it",
            retryable=True,
        )
    return content


def is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Whether an address is on the open internet, also after every translation of addresses."""
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return ip.is_global and not ip.is_multicast


class _Connections:
    """Connections to permitted addresses, all of which end when the time is up.

    Attributes:
        private: whether the next connection may be to a private address.
        ended: whether the time is up.
    """

    def __init__(self, seconds: float) -> None:
        self.private = False
        self.ended = False
        self.session = _session(self)
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.session.close()
        with self._lock:
            while self._lines:
                self._lines.pop().close()

    def connect(self, connection: HTTPConnection) -> socket.socket:
        """Resolve the name once, and connect to what was looked at: no second answer counts."""
        host, port = connection.host, connection.port
        answers = socket.getaddrinfo(host, port, type=SOCK_STREAM)
        found = list(dict.fromkeys(str(address[0]) for *_, address in answers))
        permitted = [ip for ip in found if self.private or is_public(ip_address(ip))]
        if not permitted:
            raise ImageFetchError(
                f"expected an image at a public address or at Label Studio's, got {host} at "
                f"{', '.join(found)}: if that is Label Studio, set LABEL_STUDIO_URL; if "
                f"images do lie there, add {host} to IMAGE_HOSTS"
            )
        for ip in permitted[:-1]:
            with contextlib.suppress(OSError):
                return self._line(connection, ip)
        return self._line(connection, permitted[-1])

    def _line(self, connection: HTTPConnection, ip: str) -> socket.socket:
        line = create_connection(
            (ip, connection.port), connection.timeout, socket_options=connection.socket_options
        )
        with self._lock:
            # A second handle: TLS takes the first one away.
            self._lines.append(line.dup())
        return line

    def _end(self) -> None:
        with self._lock:
            self.ended = True
            for line in self._lines:
                with contextlib.suppress(OSError):  # the other side was faster
                    line.shutdown(socket.SHUT_RDWR)


def _session(connections: _Connections) -> requests.Session:
    """A session whose connections are made by `connections`, without a proxy between."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return connections.connect(self)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return connections.connect(self)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    adapter = HTTPAdapter()
    adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": EncryptedPool}
    session = requests.Session()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _download(
    connections: _Connections,
    address: str,
    label_studio: LabelStudio,
    max_bytes: int,
    hosts: Sequence[str],
) -> bytes:
    trusted = True
    for _ in range(REDIRECTS + 1):
        if not address.lower().startswith(("http://", "https://")):
            raise ImageFetchError(_what_to_do(address))
        own = label_studio.owns(address)
        # Once elsewhere, never again with the token: the way back is another's choice.
        trusted = trusted and own
        connections.private = own or (parse_url(address).host or "").lower() in hosts
        headers = {"Accept": "image/*, */*;q=0.1", "Accept-Encoding": "identity"}
        if trusted:
            headers |= _authorization(label_studio)
        with connections.session.get(
            address,
            headers=headers,
            auth=_unchanged,
            proxies=NO_PROXIES,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            stream=True,
            allow_redirects=False,
        ) as answer:
            if not answer.is_redirect:
                _check_status(answer, label_studio, trusted=trusted)
                return _body(answer, _shown(answer.url, label_studio), max_bytes)
            address = label_studio.locate(urljoin(address, answer.headers["Location"]))
    raise ImageFetchError(
        f"expected at most {REDIRECTS} redirects, got more, "
        f"the last to {_shown(address, label_studio)}"
    )


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authorization that adds nothing; without any, `requests` would look into ~/.netrc."""
    return request


def _authorization(label_studio: LabelStudio) -> dict[str, str]:
    try:
        return label_studio.authorization()
    except LabelStudioError as error:
        raise ImageFetchError(str(error), retryable=error.retryable) from None


def _check_status(answer: requests.Response, label_studio: LabelStudio, *, trusted: bool) -> None:
    status = answer.status_code
    if status == 200:
        return
    hint = ""
    if status in (401, 403) and trusted:
        hint = ": Label Studio does not accept the token; python -m backend doctor says what to set"
    elif status == 404 and trusted and RESOLVE in answer.url:
        hint = ": is the cloud storage that the task came from still connected to its project?"
    raise ImageFetchError(
        f"expected an image at {_shown(answer.url, label_studio)}, got status {status}{hint}",
        retryable=status in PASSING or status >= 500,
    )


def _body(answer: requests.Response, shown: str, max_bytes: int) -> bytes:
    announced = answer.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise ImageFetchError(_too_large(shown, max_bytes))
    content = bytearray()
    for part in answer.iter_content(CHUNK):
        content += part
        if len(content) > max_bytes:
            raise ImageFetchError(_too_large(shown, max_bytes))
    if _is_web_page(content, answer.headers.get("Content-Type", "")):
        raise ImageFetchError(
            f"expected an image at {shown}, got a web page, perhaps one to log in at: "
            "images must be readable without a browser's session"
        )
    return bytes(content)


def _is_web_page(content: bytes | bytearray, content_type: str) -> bool:
    start = content[:256].lstrip().lower()
    return content_type.lower().startswith("text/html") or start.startswith(
        (b"<!doctype html", b"<html")
    )


def _from_data_uri(uri: str, max_bytes: int) -> bytes:
    kind, comma, body = uri.partition(",")
    if not comma:
        raise ImageFetchError(
            f"expected data:image/png;base64,... in the task's data, got {kind[:40]!r}"
        )
    # Base64 needs 4 characters for 3 bytes; an escape needs 3 for one.
    if len(body) > 4 * max_bytes:
        raise ImageFetchError(_too_large("the data: address", max_bytes))
    content = unquote_to_bytes(body)
    if kind.lower().endswith(";base64"):
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except binascii.Error as error:
            raise ImageFetchError(
                f"expected base64 in the task's data: address, got something else: {error}"
            ) from None
    if len(content) > max_bytes:
        raise ImageFetchError(_too_large("the data: address", max_bytes))
    return content


def _what_to_do(url: str) -> str:
    scheme = url.partition(":")[0].lower()
    got = f"expected an address that can be fetched, got {url[:100]}"
    if scheme in CLOUD:
        return (
            f"{got}: switch on pre-signed URLs in the project's cloud storage settings in Label "
            "Studio, so that it hands out https addresses"
        )
    if scheme == "file":
        return (
            f"{got}: files on a disk come through Label Studio; add their folder to the project as "
            "local storage (LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true)"
        )
    return f"{got}: expected http://, https://, data: or a path of Label Studio such as /data/..."


def _too_large(what: str, max_bytes: int) -> str:
    return (
        f"expected at most {max_bytes} bytes from {what}, got more: "
        "make the image smaller or MAX_IMAGE_BYTES larger"
    )


def _shown(url: str, label_studio: LabelStudio) -> str:
    """An address without password and key: pre-signed ones carry their key in the query."""
    try:
        parts = parse_url(url)
    except ValueError:
        return "an address that cannot be read"
    query = parts.query if label_studio.owns(url) else None
    return parts._replace(auth=None, query=query, fragment=None).url


def _translated(error: Exception, shown: str) -> ImageFetchError:
    if isinstance(error, ValueError):
        return ImageFetchError(f"expected the address of an image, got {shown}: {error}")
    if isinstance(error, requests.exceptions.SSLError):
        return ImageFetchError(
            f"expected a certificate of {shown} that can be trusted, got {innermost(error)}: "
            "set REQUESTS_CA_BUNDLE to a file with the authority's certificate"
        )
    return ImageFetchError(
        f"expected an image at {shown}, got no whole answer: {innermost(error)}", retryable=True
    )
