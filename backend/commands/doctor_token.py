"""The doctor's look at LABEL_STUDIO_API_KEY, before and after Label Studio has refused it."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime

from backend.database.connection import now

NEEDED = "a personal access token, or a legacy token where the organization allows them"


def what_is_wrong(token: str) -> str | None:
    """Return what can be told to be wrong with a token from its text alone; None for nothing."""
    if re.match(r"(?i)(token|bearer)\s", token):
        return "begins with a word of the header: set the token alone"
    if token != token.strip() or re.search(r"\s", token):
        return "holds spaces or line ends: set the token alone, without quotes"
    if token.count(".") == 2:
        return _of_jwt(token)
    if not re.fullmatch(r"[0-9a-fA-F]{40}", token):
        return (
            f"looks like neither kind of token (40 hexadecimal digits, or three parts with two "
            f"dots): copy {NEEDED}, from Account & Settings"
        )
    return None


def _of_jwt(token: str) -> str | None:
    payload = token.split(".")[1]
    try:
        facts = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        kind, expires = facts.get("token_type"), facts.get("exp")
        end = None if expires is None else datetime.fromtimestamp(float(expires), UTC)
    except (binascii.Error, ValueError, AttributeError, TypeError, OverflowError, OSError):
        return f"has three parts but cannot be read: copy {NEEDED}, as a whole"
    if kind == "access":
        return (
            "is the access token that the API hands out for five minutes: set the personal access "
            "token itself (a refresh token), from Account & Settings"
        )
    if end is not None and end < now():
        return f"has expired on {end:%Y-%m-%d}: make a new personal access token"
    return None
