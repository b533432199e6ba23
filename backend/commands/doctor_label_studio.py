"""What the doctor looks at in Label Studio, without changing anything there."""

from collections.abc import Iterator
from typing import Any

from urllib3.util import parse_url

from backend.commands.findings import Finding, note, ok, problem
from backend.commands.serve import address_of
from backend.labelstudio.client import WHAT_TO_SET, LabelStudio, LabelStudioError
from backend.labelstudio.label_config import LabelConfigError, keypoint_control
from backend.settings import Settings
from backend.training.registry import model_that_answers

CONNECTED = "CO"
BLOCKED = "reserved network address"
UNBLOCK = "start Label Studio with ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false"
# Label Studio judges the address first, then refuses this project: so asking makes nothing.
NO_PROJECT = 0

Row = dict[str, Any]


def check_label_studio(settings: Settings) -> Iterator[Finding]:
    """Whether it answers, takes the token, and can and does call this backend."""
    if settings.label_studio_url is None:
        yield note(
            "Label Studio",
            "LABEL_STUDIO_URL is not set, so what a project's /setup brings is used, and nothing "
            "more is checked here; set it and LABEL_STUDIO_API_KEY, since new organizations refuse "
            "the tokens that /setup brings",
        )
        return
    key = settings.label_studio_api_key
    label_studio = LabelStudio(settings.label_studio_url, key.get_secret_value() if key else None)
    try:
        label_studio.get("/health")
        yield ok("Label Studio", f"answers at {label_studio.url}")
        if key is None:
            yield problem("Token", f"LABEL_STUDIO_API_KEY is not set: {WHAT_TO_SET}")
            return
        yield _token(label_studio)
        yield from _projects(label_studio, settings)
    except LabelStudioError as error:
        yield problem("Token" if error.status in (401, 403) else "Label Studio", str(error))


def _token(label_studio: LabelStudio) -> Finding:
    user = label_studio.get("/api/current-user/whoami")
    return ok("Token", f"accepted, of {user['email']}")


def _projects(label_studio: LabelStudio, settings: Settings) -> Iterator[Finding]:
    """The projects that this backend is connected to; Label Studio calls each backend for it."""
    connected = False
    for project in label_studio.projects():
        rows = label_studio.get("/api/ml", project=project["id"])
        ours = next((row for row in rows if _is_ours(row, settings)), None)
        if ours is not None:
            connected = True
            yield from _project(label_studio, settings, project, ours, rows[0])
    if not connected:
        address = address_of(settings)
        yield problem(
            "Projects",
            "none is connected to this backend: in Label Studio, open a project's Settings > "
            f"Model > Connect model, and give {address} or this machine's address as seen from "
            "there",
        )
        yield from _reach(label_studio, address)


def _is_ours(row: Row, settings: Settings) -> bool:
    """Whether an ML backend is this one: it says so by its version, or has our port."""
    version = model_that_answers(settings).version
    return row.get("model_version") == version or _port(row) == settings.port


def _port(row: Row) -> int | None:
    try:
        return parse_url(row["url"]).port
    except ValueError:
        return None


def _project(
    label_studio: LabelStudio, settings: Settings, project: Row, ours: Row, first: Row
) -> Iterator[Finding]:
    about = f"Project {project['id']}, {project['title']}"
    if ours["state"] != CONNECTED:
        yield problem(
            about,
            f"Label Studio cannot use {_shown(ours['url'])}: {ours['readable_state']}, "
            f"{ours['error_message'] or 'no reason given'}",
        )
        yield from _reach(label_studio, ours["url"])
    elif ours["id"] != first["id"]:
        yield problem(
            about,
            f"asks only the first of its models, {first['title']} at {_shown(first['url'])}: "
            "remove that one under Settings > Model",
        )
    else:
        yield ok(about, f"connected to {_shown(ours['url'])}")
    if not project.get("show_collab_predictions", True):
        yield problem(
            about,
            "hides suggestions from annotators: switch on Settings > Annotation > "
            "Use predictions to prelabel tasks",
        )
    try:
        keypoint_control(project["label_config"])
    except LabelConfigError as error:
        yield problem(about, str(error))
    yield _webhook(label_studio, settings, project, ours)


def _webhook(label_studio: LabelStudio, settings: Settings, project: Row, ours: Row) -> Finding:
    about = f"Webhook of project {project['id']}"
    expected = ours["url"].rstrip("/") + "/webhook"
    hooks = label_studio.get("/api/webhooks/", project=project["id"])
    hook = next((hook for hook in hooks if hook["url"] == expected), None)
    if hook is None:
        return problem(
            about,
            "there is none, so that corrections would be lost: under Settings > Webhooks add "
            f"{_shown(expected)} for all actions, with the payload; if Label Studio "
            f"refuses the address, {UNBLOCK}",
        )
    if not (hook["is_active"] and hook["send_payload"] and hook["send_for_all_actions"]):
        return problem(
            about,
            "it is switched off or leaves something out: under Settings > Webhooks let it be "
            "active and send the payload for all actions",
        )
    has_password = "Authorization" in hook["headers"] or "@" in hook["url"]
    if settings.basic_auth_user and not has_password:
        return problem(
            about,
            "it carries no password, so that corrections would be refused: under Settings > "
            "Webhooks add the header Authorization: Basic "
            "(BASIC_AUTH_USER:BASIC_AUTH_PASS in base64)",
        )
    return ok(about, "sends what annotators do")


def _reach(label_studio: LabelStudio, backend: str) -> Iterator[Finding]:
    """Whether Label Studio refuses to call an address because it is a private one."""
    addresses = {"/api/ml": backend, "/api/webhooks/": f"{backend.rstrip('/')}/webhook"}
    refused = [url for path, url in addresses.items() if _is_refused(label_studio, path, url)]
    if refused:
        yield problem(
            "Label Studio",
            f"refuses to call {' and '.join(_shown(url) for url in refused)}, since that is a "
            f"private address: {UNBLOCK}",
        )


def _is_refused(label_studio: LabelStudio, path: str, url: str) -> bool:
    try:
        label_studio.post(path, {"url": url, "project": NO_PROJECT, "title": "check"})
    except LabelStudioError as error:
        return BLOCKED in str(error)
    return False


def _shown(url: str) -> str:
    """An address without the password that it may carry."""
    try:
        return parse_url(url)._replace(auth=None).url
    except ValueError:
        return "an address that cannot be read"
