"""Connect a project of Label Studio and this backend, or repair what is there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.client import LabelStudio
from backend.labelstudio.connection_records import (
    WEBHOOK,
    MlBackend,
    Webhook,
    same_address,
    webhooks_of,
    without_password,
)
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.schemas import Project
from backend.labelstudio.webhook_health import WEBHOOKS
from backend.labelstudio.webhook_secrets import SECRET_HEADER, WebhookSecrets
from backend.settings import Settings

ML_BACKENDS = "/api/ml/"
TITLE = "keypoints"
CONNECTED = "CO"
BLOCKED = "reserved network address"
UNBLOCK = "start Label Studio with ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false"


class ConnectError(RuntimeError):
    """A project cannot be connected; the message says what to do."""


@dataclass(frozen=True)
class Connector:
    """Connects projects and this backend.

    Attributes:
        backend: address of the backend as Label Studio reaches it, without a password.
    """

    label_studio: LabelStudio
    settings: Settings
    secrets: WebhookSecrets
    backend: str

    def connect(self, project: Project) -> Iterator[str]:
        """Make the ML backend and the webhook of a project, or repair them; repeating is harmless.

        Yields:
            A line for a person about each step.

        Raises:
            ConnectError: Label Studio refuses it, or does not reach the backend.
            LabelStudioError: Label Studio does not answer, or not as expected.
        """
        yield self._connect_backend(project)
        yield from self._connect_webhook(project)

    def _connect_backend(self, project: Project) -> str:
        found = self.label_studio.fetch_all(MlBackend, ML_BACKENDS, project=project.id)
        ours = next((each for each in found if same_address(each.url, self.backend)), None)
        body = {"project": project.id, "url": self.backend, **self._authentication()}
        if ours is None:
            self._send("POST", ML_BACKENDS, {**body, "title": TITLE})
            return f"Project {project.id}: connected to {self.backend}"
        # Label Studio never tells the password that it has, so it is sent each time.
        # To check the connection, it sends /setup only what stands in this request.
        kept = {"title": ours.title or TITLE, "extra_params": ours.extra_params}
        self._send("PATCH", f"/api/ml/{ours.id}", {**body, **kept})
        if ours.state == CONNECTED:
            return f"Project {project.id}: is connected to {self.backend}"
        return f"Project {project.id}: connected to {self.backend} again"

    def _authentication(self) -> dict[str, str]:
        password = self.settings.basic_auth_pass
        if self.settings.basic_auth_user is None or password is None:
            return {"auth_method": "NONE"}
        return {
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": self.settings.basic_auth_user,
            "basic_auth_pass": password.get_secret_value(),
        }

    def _connect_webhook(self, project: Project) -> Iterator[str]:
        webhooks = self.label_studio.fetch_all(Webhook, WEBHOOKS, project=project.id)
        # Label Studio made one itself if the ML backend is new.
        ours = webhooks_of(webhooks, self.backend)
        name = f"Webhook of project {project.id}"
        if not ours:
            self._send("POST", WEBHOOKS, {"project": project.id, **self._wanted(project, None)})
            yield f"{name}: created"
            return
        first, *others = ours
        wanted = self._wanted(project, first)
        if _differs(first, wanted):
            self._send("PATCH", f"{WEBHOOKS}{first.id}/", wanted)
            yield f"{name}: repaired"
        else:
            yield f"{name}: sends what annotators do"
        for each in others:
            if each.is_active:
                self._send("PATCH", f"{WEBHOOKS}{each.id}/", {"is_active": False})
                yield f"{name}: a second one, {without_password(each.url)}, is switched off"

    def _wanted(self, project: Project, present: Webhook | None) -> dict[str, Any]:
        headers = dict(present.headers or {}) if present else {}
        if self.settings.basic_auth_pass is not None:
            headers = {
                name: value
                for name, value in headers.items()
                if name.lower() not in ("authorization", SECRET_HEADER.lower())
            }
            secret = present.secret if present else None
            headers[SECRET_HEADER] = self.secrets.secret_for(project.id, secret)
        return {
            "url": self.backend + WEBHOOK,
            "is_active": True,
            "send_payload": True,
            "send_for_all_actions": True,
            "headers": headers,
        }

    def _send(self, method: str, path: str, body: dict[str, Any]) -> None:
        try:
            self.label_studio.send(method, path, body)
        except LabelStudioError as error:
            is_refusal = error.status in (400, 409, 422) or BLOCKED in str(error)
            if not is_refusal:
                raise
            raise ConnectError(self._explained(str(error))) from None

    def _explained(self, refusal: str) -> str:
        password = self.settings.basic_auth_pass
        if password is not None:
            refusal = refusal.replace(password.get_secret_value(), "***")
        if BLOCKED in refusal:
            return (
                f"Label Studio refuses to call {self.backend}, because this is a private address: "
                f"{UNBLOCK}"
            )
        return (
            f"{refusal} (Label Studio has to reach this backend at {self.backend}: start it with "
            "`python -m backend serve`, or give the address that Label Studio reaches with "
            "--backend)"
        )


def _differs(webhook: Webhook, wanted: dict[str, Any]) -> bool:
    present = {name: getattr(webhook, name) for name in wanted}
    return {**present, "headers": webhook.headers or {}} != wanted
