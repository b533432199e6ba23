"""Requests to the real Label Studio's API."""

from typing import Any

import requests

from backend.local.label_studio import LocalLabelStudio


def api(studio: LocalLabelStudio, method: str, path: str, **body: Any) -> Any:
    """Send a request that has to succeed; the JSON of the answer, None if it is empty."""
    answer = requests.request(
        method, f"{studio.url}{path}", headers=studio.headers, timeout=60, **body
    )
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def region(
    region_id: str, from_name: str, kind: str, value: dict[str, Any], side: int
) -> dict[str, Any]:
    """A region as the editor makes it when somebody draws on a square image; `side` in px."""
    return {
        "id": region_id,
        "from_name": from_name,
        "to_name": "image",
        "type": kind,
        "origin": "manual",
        "original_width": side,
        "original_height": side,
        "image_rotation": 0,
        "value": value,
    }
