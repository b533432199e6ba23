"""What Label Studio's API says about how a project and its backend are connected."""

import base64
from typing import Any
from urllib.parse import unquote

from pydantic import Field
from urllib3.util import parse_url

from backend.labelstudio.shapes import Flag, Id, Json, OrNone, Shape, Text
from backend.labelstudio.webhook_secrets import SECRET_HEADER

WEBHOOK = "/webhook"


class MlBackend(Shape):
    """An ML backend that a project is connected to.

    Attributes:
        state: `CO` if Label Studio can use it.
        readable_state, error_message: the state and its reason in words.
        extra_params: raw; see `project_settings.read_extra_params`.
    """

    id: Id = Field(description="a whole number")
    url: Text = Field(description="an address")
    title: OrNone[Text] = None
    model_version: OrNone[Text] = None
    state: OrNone[Text] = None
    readable_state: OrNone[Text] = None
    error_message: OrNone[Text] = None
    extra_params: Any = None


class Webhook(Shape):
    """A webhook of a project.

    Attributes:
        headers: that Label Studio sends with each event; raw.
    """

    id: Id = Field(description="a whole number")
    url: Text = Field(description="an address")
    is_active: Flag = True
    send_payload: Flag = True
    send_for_all_actions: Flag = True
    headers: OrNone[Json] = None

    @property
    def secret(self) -> str | None:
        """The secret that it sends; None if it sends none."""
        found = self._header(SECRET_HEADER)
        return found if isinstance(found, str) else None

    @property
    def has_password(self) -> bool:
        """Whether it sends user and password, in a header or in its address."""
        return self._header("Authorization") is not None or "@" in self.url

    def sends_password(self, user: str, password: str) -> bool:
        """Return whether it sends this user and password."""
        pair = f"{user}:{password}"
        header = self._header("Authorization")
        if header is not None:
            return header == f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            return unquote(parse_url(self.url).auth or "") == pair
        except ValueError:
            return False

    def _header(self, name: str) -> object:
        headers = self.headers or {}
        return next((headers[key] for key in headers if key.lower() == name.lower()), None)


def without_password(url: str) -> str:
    """Return an address without user and password."""
    try:
        return parse_url(url)._replace(auth=None).url
    except ValueError:
        return "an address that cannot be read"


def same_address(one: str, other: str) -> bool:
    """Return whether two addresses differ at most in a password and a slash at the end."""
    return without_password(one).rstrip("/") == without_password(other).rstrip("/")


def webhooks_of(webhooks: list[Webhook], backend: str) -> list[Webhook]:
    """Return the webhooks that send events to a backend."""
    return [each for each in webhooks if same_address(each.url, backend.rstrip("/") + WEBHOOK)]
