"""Locate web addresses: whether they belong to a Label Studio, and where to reach them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from urllib3.util import parse_url

# What Label Studio serves of tasks: uploads, local files, and objects of cloud storage.
IMAGE_PATH = re.compile(
    r"/data/upload/.+"
    r"|/data/local-files/?"
    r"|/storage-data/uploaded/?"
    r"|/(?:tasks|projects)/[0-9]+/(?:resolve|presign)/?"
)


@dataclass(frozen=True, slots=True)
class Location:
    """Where to reach an address from here.

    Attributes:
        url: absolute address to connect to; the address as given if it is not an HTTP(S) one.
        own: whether it is at Label Studio's own origin, the only one that may get its token.
    """

    url: str
    own: bool

    @property
    def shown(self) -> str:
        """The address for messages: no password, and no query unless own (it may hold a key)."""
        try:
            parts = parse_url(self.url)
        except ValueError:
            return "an address that cannot be read"
        query = parts.query if self.own else None
        return parts._replace(auth=None, query=query, fragment=None).url


def locate(address: str, url: str, known_as: Sequence[str] = ()) -> Location:
    """Find where a path, or an address that Label Studio gave, is reached from here.

    Args:
        address: what to find; a path is one of Label Studio's, with its URL's path or without.
        url: where Label Studio is reached from here, without a slash at the end.
        known_as: other addresses that Label Studio gives itself, likewise.
    """
    found = _absolute(address, url, known_as)
    return Location(found, same_origin(found, url))


def is_image_path(address: str, url: str) -> bool:
    """Return whether an address in Label Studio is one of an image, and not of its API or a page.

    Args:
        address: absolute, at Label Studio's origin.
        url: where Label Studio is reached from here, without a slash at the end.
    """
    prefix = urlsplit(url).path
    path = parse_url(address).path or "/"
    if prefix and not path.startswith(f"{prefix}/"):
        return False  # the same server, but not Label Studio
    path = _decoded(_without_prefix(prefix, path))
    climbs = ".." in re.split(r"[/\\]", path)
    return not climbs and IMAGE_PATH.fullmatch(path) is not None


def _decoded(path: str) -> str:
    """Decode a path as often as any server on the way may."""
    while (once := unquote(path)) != path:
        path = once
    return path


def same_origin(one: str, other: str) -> bool:
    """Return whether two HTTP(S) addresses have the same scheme, host and port; else False."""
    origin = _origin(one)
    return origin is not None and origin == _origin(other)


def _absolute(address: str, url: str, known_as: Sequence[str]) -> str:
    if address.startswith("//"):  # a host, with the scheme of the page that shows it
        address = f"{urlsplit(url).scheme}:{address}"
    if address.startswith("/"):
        return url + _without_prefix(urlsplit(url).path, address)
    if not same_origin(address, url):
        for name in known_as:
            if same_origin(name, address):
                path = _without_prefix(urlsplit(name).path, parse_url(address).request_uri)
                return url + _without_prefix(urlsplit(url).path, path)
    return address


def _without_prefix(prefix: str, path: str) -> str:
    return path[len(prefix) :] if path.startswith(f"{prefix}/") else path


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port as the connection will use them; None unless it is a web address.

    Uses the parser that the connection uses: another one finds another host in addresses such as
    `http://elsewhere\\@label-studio/`, and the token would go there.
    """
    try:
        parts = parse_url(url)
    except ValueError:
        return None
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme or "")
    return (parts.scheme, parts.host, port) if parts.scheme and parts.host and port else None
