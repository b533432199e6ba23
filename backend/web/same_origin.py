"""Refuse requests that change something if a page of another site has sent them."""

from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import Forbidden

# What browsers say of the page that sent a request; programs say nothing.
_OWN_SITES = ("same-origin", "none")


def require_same_origin() -> None:
    """Refuse a request from a page that is not ours.

    Raises:
        Forbidden: it comes from another origin.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    own = site in _OWN_SITES if site else origin is None or urlsplit(origin).netloc == request.host
    if not own:
        raise Forbidden(
            "expected a request from the backend's own page, got one from "
            f"{origin or 'another site'}: open the start page and press the button there"
        )
