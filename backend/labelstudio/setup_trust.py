"""Who may name a Label Studio: the operator, by a setting or by a password, and no stranger.

`/setup` says where Label Studio is. If anyone could say so, anyone could have the backend fetch
pages of any host that it reaches, a cloud's metadata service included.
"""

import logging
from dataclasses import dataclass

from backend.settings import Settings

logger = logging.getLogger(__name__)

MOST_NAMED = 100


@dataclass(frozen=True, slots=True)
class Connection:
    """What is kept of a connection that `/setup` sends.

    Attributes:
        hostname: address that Label Studio gave itself.
        access_token: token to use there; None where the settings have a better one.
    """

    hostname: str
    access_token: str | None


class SetupTrust:
    """Decides what is kept of the connections that `/setup` sends."""

    def __init__(self, settings: Settings) -> None:
        self._may_name = settings.setup_may_name_label_studio
        self._url = settings.label_studio_url
        self._has_key = settings.label_studio_api_key is not None
        self._refused: set[str] = set()

    def kept(self, hostname: str, access_token: str | None) -> Connection | None:
        """Return what to keep of a connection; None if a stranger may have sent it."""
        if not self._url and not self._may_name:
            self._report(hostname)
            return None
        return Connection(hostname, None if self._url and self._has_key else access_token)

    def advice(self, hostname: str) -> str | None:
        """Return what to set before a Label Studio is used; None if it is used."""
        return None if self._url or self._may_name else what_to_set(hostname)

    def _report(self, hostname: str) -> None:
        if hostname in self._refused or len(self._refused) >= MOST_NAMED:
            return
        self._refused.add(hostname)
        logger.warning("%s", what_to_set(hostname))


def what_to_set(hostname: str | None) -> str:
    """Return the sentence for an operator who has not said which Label Studio to use."""
    named = f", and a caller of /setup says that it is at {hostname[:200]!a}" if hostname else ""
    example = "; if that is yours, set it" if hostname else ": set it"
    return (
        f"expected the operator to say which Label Studio to use, but LABEL_STUDIO_URL is not "
        f"set{named}{example}, with LABEL_STUDIO_API_KEY; or set BASIC_AUTH_USER and "
        "BASIC_AUTH_PASS, so that only callers who know them can name one"
    )
