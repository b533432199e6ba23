"""What the doctor says about addresses that give no answer, or not that of a Label Studio."""

from urllib.parse import urlsplit

import requests

from backend.labelstudio.connection_records import without_password
from backend.labelstudio.errors import LabelStudioError

PROXY_STATUSES = (502, 503, 504)


def why_no_answer(url: str, error: LabelStudioError, timeout: float) -> str:
    """Return why Label Studio's /health is not what it should be, and what to set.

    Args:
        url: LABEL_STUDIO_URL, which is asked once more.
        timeout: s.
    """
    try:
        answer = requests.get(f"{url}/health", timeout=timeout, allow_redirects=False)
    except (requests.RequestException, ValueError):
        return str(error)
    if answer.status_code in PROXY_STATUSES:
        server = answer.headers.get("Server", "unknown")
        return (
            f"a proxy in front of it (Server: {server}) answers {answer.status_code} for {url}: "
            "Label Studio behind it does not run or is still starting; start it, or correct the "
            "proxy's address of it"
        )
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.path and _is_label_studio(origin, timeout):
        return (
            f"LABEL_STUDIO_URL has the path {parts.path}, but Label Studio answers at its root: "
            f"set LABEL_STUDIO_URL to {without_password(origin)}"
        )
    return str(error)


def _is_label_studio(url: str, timeout: float) -> bool:
    try:
        answer = requests.get(f"{url}/health", timeout=timeout, allow_redirects=False)
        found = answer.json()
    except (requests.RequestException, ValueError):
        return False
    return isinstance(found, dict) and found.get("status") == "UP"
