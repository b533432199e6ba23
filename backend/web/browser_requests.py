"""Requests that a browser may send on behalf of a page of another site.

Such a page can send forms and text to any address that the browser reaches, and the browser adds a
password that it knows (cross-site request forgery). A name server can also make the page's own name
lead here, so that the page may read the answers (DNS rebinding).
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

from backend.settings import Settings
from backend.web.authentication import OPEN_PATHS

READING = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Names that nobody can have a name server answer for: RFC 6761, RFC 6762, ICANN's for private use.
PRIVATE_DOMAINS = (".localhost", ".local", ".internal")
# What a form can send without asking first; scripts of other sites need leave for anything else.
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")


def refuse_other_sites(app: Flask, settings: Settings) -> None:
    """Refuse what a page of another site has the browser send, and names of other sites.

    Requests of programs, which have neither `Origin` nor `Sec-Fetch-Site`, pass.
    """
    allowed = settings.allowed_hosts
    # With a password a page that reaches us by rebinding has nothing to send.
    guesses = settings.host in LOOPBACK and settings.basic_auth_pass is None

    @app.before_request
    def check() -> None:
        if request.path in OPEN_PATHS:
            return
        host = _name(request.host)
        known = {_name(each) for each in allowed} - {""}
        if (allowed and host not in (*known, *LOOPBACK)) or (
            guesses and not allowed and not _is_private_name(host)
        ):
            raise Forbidden(
                f"expected a Host that this backend is known by, got {host[:100]!a}: add it to "
                "ALLOWED_HOSTS if the backend is called so"
            )
        if request.method not in READING and not _from_own_page(allowed):
            raise Forbidden(
                "expected a request of this backend's own pages or of a program, got one of a page "
                "of another site: if a proxy serves this backend under another name, add that name "
                "to ALLOWED_HOSTS"
            )


def refuse_forms() -> None:
    """Refuse a body that a form of another site may have sent, where JSON is expected.

    Raises:
        UnsupportedMediaType: its type is one that forms have.
    """
    if request.mimetype in FORM_TYPES:
        raise UnsupportedMediaType(
            f"expected a body of type application/json, got {request.mimetype}"
        )


def _from_own_page(allowed: tuple[str, ...]) -> bool:
    """Return whether a request was sent by no browser, or by a page of this backend."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if site in ("same-origin", "none"):
        return True
    if origin is None:
        return site is None
    # A proxy may pass another Host on. Another port of the same name is another site.
    place = _netloc(origin)
    return bool(place) and (place == request.host.lower() or place in allowed)


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Return a host without its port and without the brackets of IPv6, in lower case."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _is_private_name(host: str) -> bool:
    """Return whether no stranger can have a name server make this name lead here."""
    if "." not in host and ":" not in host:
        return True
    try:
        ip_address(host)
    except ValueError:
        return host.endswith(PRIVATE_DOMAINS)
    return True
