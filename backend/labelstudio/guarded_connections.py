"""HTTP connections to untrusted addresses: no private hosts, no proxy, a time limit.

Each connection goes to an IP address that was checked, so a name server that changes its answer
after the check (DNS rebinding) has no effect.
"""

import contextlib
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import SOCK_STREAM
from typing import Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from backend.labelstudio.time_limits import TimeLimit

CONNECT_TIMEOUT = 5.0  # s
READ_TIMEOUT = 15.0  # s, for each pause within an answer

NAT64 = ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ip_network("2000::/3")  # all IPv6 addresses that are given out to anyone
# Addresses from the public ranges by which clouds reach their own services: Azure, Oracle.
OF_CLOUDS = frozenset({IPv4Address("168.63.129.16"), IPv4Address("192.0.0.192")})
ISATAP = (0x00005EFE, 0x02005EFE)  # the third 32 bits of an IPv6 address that wraps an IPv4 one

# Ignore the environment's proxies: the address behind a proxy cannot be checked.
NO_PROXIES = {"http": "", "https": "", "all": ""}


class PrivateAddressError(Exception):
    """A host has private addresses only.

    Attributes:
        host: name of the host, as in the address.
        found: IP addresses that it resolves to.
    """

    def __init__(self, host: str, found: list[str]) -> None:
        super().__init__(f"{host} at {', '.join(found)}")
        self.host = host
        self.found = found


def is_public(ip: IPv4Address | IPv6Address) -> bool:
    """Return whether an IP address is public, also after NAT64, 6to4, ISATAP or IPv4 mapping."""
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast and ip not in OF_CLOUDS
    inner = ip.ipv4_mapped or ip.sixtofour
    if ip in NAT64 or int(ip) >> 32 & 0xFFFFFFFF in ISATAP:
        inner = IPv4Address(int(ip) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(inner)
    return ip in GLOBAL_UNICAST and ip.is_global


class GuardedConnections:
    """Connections to permitted addresses; all of them are closed when the time is up.

    Args:
        seconds: time limit of the whole block, including redirects.

    Attributes:
        allow_private: whether the next connection may go to a private address.
    """

    def __init__(self, seconds: float) -> None:
        self.allow_private = False
        self._session = _session(self)
        self._limit = TimeLimit(seconds)

    def __enter__(self) -> Self:
        self._limit.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()
        self._limit.__exit__()

    @property
    def timed_out(self) -> bool:
        """Whether the time was up before the block ended."""
        return self._limit.timed_out

    def get(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Send one GET request, following no redirect; the body is not read yet.

        Raises:
            PrivateAddressError: the host is private, and `allow_private` is not set.
            requests.RequestException, ValueError: no answer, or no address.
        """
        return self._session.get(
            url,
            headers=headers,
            auth=_unchanged,
            proxies=NO_PROXIES,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            stream=True,
            allow_redirects=False,
        )

    def connect(self, connection: HTTPConnection) -> socket.socket:
        """Resolve the host once and connect to one of the IP addresses that were checked.

        Raises:
            PrivateAddressError: none of them is permitted.
            OSError: none of them answers, or the time is up.
        """
        host, port = connection.host, connection.port
        answers = socket.getaddrinfo(host, port, type=SOCK_STREAM)
        found = list(dict.fromkeys(str(address[0]) for *_, address in answers))
        permitted = [ip for ip in found if self.allow_private or is_public(ip_address(ip))]
        if not permitted:
            raise PrivateAddressError(host, found)
        for ip in permitted[:-1]:
            with contextlib.suppress(OSError):  # the next address may answer
                return self._connect_to(ip, connection)
        return self._connect_to(permitted[-1], connection)

    def _connect_to(self, ip: str, connection: HTTPConnection) -> socket.socket:
        self._limit.check()  # a name may have a thousand addresses, none of which answers
        connected = create_connection(
            (ip, connection.port), connection.timeout, socket_options=connection.socket_options
        )
        return self._limit.watched(connected)


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no authorization; without this function, `requests` would read ~/.netrc."""
    return request


def _session(connections: GuardedConnections) -> requests.Session:
    """Return a session that connects through `GuardedConnections.connect` alone."""

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
