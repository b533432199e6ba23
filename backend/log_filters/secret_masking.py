"""Mask tokens and passwords in the text of a log line, whichever library wrote it."""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
SHORTEST = 6  # characters; masking shorter words would make lines unreadable

_PATTERNS = (
    # An Authorization header, and what stands in one.
    re.compile(r"(?i)(\b(?:authorization|x-api-key|cookie)\b['\"]?\s*[:=]\s*['\"]?)[^'\"\r\n,}]+"),
    re.compile(r"(?i)(\b(?:token|bearer|basic)\s+)(?=\S*[\d=])[\w.~+/=-]{16,}"),
    # User and password in an address.
    re.compile(r"(\w://)[^\s/@'\"]+(?=@)"),
    # Parameters of an address, and fields of JSON.
    re.compile(
        r"(?i)(\b[\w-]*(?:token|signature|password|passwd|secret|api_?key|credential)"
        r"(?:=['\"]?|['\"]\s*:\s*['\"]))(?!\*\*\*)[^\s&'\",}]+"
    ),
    # A legacy token of Label Studio, and a JSON web token.
    re.compile(r"()\b[0-9a-f]{40}\b"),
    re.compile(r"()\beyJ[\w-]{5,}\.[\w-]+\.?[\w-]*"),
)


class SecretMask:
    """Masks what looks like a secret, and the secrets that are known.

    Args:
        known: secrets of the settings; those shorter than `SHORTEST` are masked only where the
            text around them shows what they are.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        forms = {
            form
            for secret in known
            if len(secret) >= SHORTEST
            for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])
        }
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def apply(self, text: str) -> str:
        """Return the text with every secret replaced by `MASK`."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\1{MASK}", text)
        return text
