"""The doctor's check of a project's webhook."""

import base64
from urllib.parse import unquote

from urllib3.util import parse_url

from backend.commands.doctor_addresses import UNBLOCK, without_password
from backend.commands.doctor_results import CheckResult, ok, problem
from backend.commands.label_studio_records import MlBackend, Webhook
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.schemas import Project
from backend.settings import Settings


def check_webhook(
    label_studio: LabelStudio, settings: Settings, project: Project, ours: MlBackend
) -> CheckResult:
    """Check that Label Studio sends the events of a project to this backend."""
    subject = f"Webhook of project {project.id}"
    expected = ours.url.rstrip("/") + "/webhook"
    webhooks = label_studio.fetch_all(Webhook, "/api/webhooks/", project=project.id)
    webhook = next((each for each in webhooks if each.url == expected), None)
    if webhook is None:
        return problem(
            subject,
            "does not exist, so corrections would be lost: under Settings > Webhooks, add "
            f"{without_password(expected)} for all actions, with the payload; if Label Studio "
            f"refuses the address, {UNBLOCK}",
        )
    if not (webhook.is_active and webhook.send_payload and webhook.send_for_all_actions):
        return problem(
            subject,
            "is switched off or incomplete, so corrections would be lost: under Settings > "
            "Webhooks, make it active, with the payload, for all actions",
        )
    wrong = _wrong_password(settings, webhook)
    if wrong is not None:
        return problem(
            subject,
            f"{wrong}, so corrections would be refused: under Settings > Webhooks, add the header "
            "Authorization: Basic (BASIC_AUTH_USER:BASIC_AUTH_PASS in base64)",
        )
    return ok(subject, "sends what annotators do")


def _wrong_password(settings: Settings, webhook: Webhook) -> str | None:
    """Return what is wrong with the user and password that a webhook sends; None for nothing."""
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if user is None or password is None:
        return None
    expected = f"{user}:{password.get_secret_value()}"
    header = (webhook.headers or {}).get("Authorization")
    in_address = parse_url(webhook.url).auth
    if header is None and in_address is None:
        return "carries no password"
    encoded = base64.b64encode(expected.encode()).decode()
    sent = unquote(in_address or "") == expected if header is None else header == f"Basic {encoded}"
    return None if sent else "carries another user or password than BASIC_AUTH_USER and _PASS"
