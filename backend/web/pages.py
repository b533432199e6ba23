"""Which requests come from a browser, and how pages are sent to it."""

from flask import Response, request

# Content security policy: a page loads nothing and runs only its own script.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def prefers_pages() -> bool:
    """Return whether the client asks for HTML rather than JSON, as browsers do and programs not."""
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def page(html: str, nonce: str = "") -> Response:
    """Return HTML with the headers of every page.

    Args:
        nonce: of the page's script.
    """
    answer = Response(html, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = POLICY.format(nonce=nonce)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
