"""The doctor's checks of Label Studio, which change nothing there."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

import requests
from urllib3.util import parse_url

from backend.commands.doctor_addresses import why_no_answer
from backend.commands.doctor_clock import check_clock
from backend.commands.doctor_results import CheckResult, note, ok, problem
from backend.commands.doctor_token import what_is_wrong
from backend.commands.label_studio_records import User
from backend.commands.serve import address_of
from backend.commands.webhook_secrets import accepted_secrets
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.connecting import BLOCKED, CONNECTED, UNBLOCK
from backend.labelstudio.connection_records import MlBackend, Webhook, webhooks_of, without_password
from backend.labelstudio.errors import WHAT_TO_SET, LabelStudioError
from backend.labelstudio.label_config import LabelConfigError, unserved_images
from backend.labelstudio.project_settings import ExtraParamsError, read_extra_params
from backend.labelstudio.projects import label_studio_of
from backend.labelstudio.schemas import Project
from backend.labelstudio.setup_trust import what_to_set
from backend.labelstudio.webhook_health import WEBHOOKS, repair, webhook_problem
from backend.learning.records import base_of
from backend.settings import Settings
from backend.training.registry import active_versions

TIMEOUT_SECONDS = 10.0
# Label Studio checks the address first and then rejects this project, so nothing is created.
NO_PROJECT = 0


def check_label_studio(settings: Settings) -> Iterator[CheckResult]:
    """Check that Label Studio answers, accepts the token, and can and does call this backend."""
    if settings.label_studio_url is None and not settings.setup_may_name_label_studio:
        yield problem("Label Studio", what_to_set(None))
        return
    if settings.label_studio_url is None:
        yield note(
            "Label Studio",
            "LABEL_STUDIO_URL is not set, so the backend uses the address and token of a project's "
            "/setup, and nothing more is checked here; set it and LABEL_STUDIO_API_KEY, because "
            "new organizations reject the tokens of /setup",
        )
        return
    label_studio = label_studio_of(settings, timeout=TIMEOUT_SECONDS)
    without_token = settings.model_copy(update={"label_studio_api_key": None})
    try:
        label_studio_of(without_token, timeout=TIMEOUT_SECONDS).get("/health")
    except LabelStudioError as error:
        yield problem("Label Studio", why_no_answer(label_studio.url, error, TIMEOUT_SECONDS))
        return
    yield ok("Label Studio", f"answers at {label_studio.url}")
    yield from _check_clock(label_studio.url)
    key = settings.label_studio_api_key
    if key is None:
        yield problem("Token", f"LABEL_STUDIO_API_KEY is not set: {WHAT_TO_SET}")
        return
    wrong = what_is_wrong(key.get_secret_value())
    if wrong is not None:
        yield problem("Token", f"LABEL_STUDIO_API_KEY {wrong}")
        return
    try:
        yield _check_token(label_studio)
        yield from _check_projects(label_studio, settings)
    except LabelStudioError as error:
        yield problem("Token" if error.status in (401, 403) else "Label Studio", str(error))


def _check_token(label_studio: LabelStudio) -> CheckResult:
    user = label_studio.fetch(User, "/api/current-user/whoami")
    return ok("Token", f"accepted as {user.email}")


def _check_clock(url: str) -> Iterator[CheckResult]:
    """Compare the clocks by the header that every answer has."""
    try:
        answer = requests.get(f"{url}/health", timeout=TIMEOUT_SECONDS)
        moment = parsedate_to_datetime(answer.headers["Date"])
    except (requests.RequestException, KeyError, ValueError):
        return  # no header to compare with
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    yield from check_clock("Label Studio", zoned)


def _check_projects(label_studio: LabelStudio, settings: Settings) -> Iterator[CheckResult]:
    """Check each project that is connected; this makes Label Studio call every ML backend."""
    connected = False
    for project in label_studio.projects():
        backends = label_studio.fetch_all(MlBackend, "/api/ml", project=project.id)
        ours = next((each for each in backends if _is_this_backend(each, settings)), None)
        if ours is not None:
            connected = True
            yield from _check_connection(label_studio, project, ours, backends[0])
            yield from _check_project(project)
            yield from _check_extra_params(project, ours)
            yield _check_webhook(label_studio, settings, project, ours)
    if not connected:
        address = address_of(settings)
        yield problem(
            "Projects",
            "none is connected to this backend: in Label Studio, open a project's Settings > "
            f"Model > Connect model, and enter {address} or this machine's address as seen from "
            "there",
        )
        yield from _check_reachability(label_studio, address)


def _is_this_backend(backend: MlBackend, settings: Settings) -> bool:
    """Recognise this backend by one of its active models or by its port."""
    if _port(backend.url) == settings.port:
        return True
    return base_of(backend.model_version or "") in active_versions(settings)


def _port(url: str) -> int | None:
    try:
        return parse_url(url).port
    except ValueError:
        return None


def _check_connection(
    label_studio: LabelStudio, project: Project, ours: MlBackend, first: MlBackend
) -> Iterator[CheckResult]:
    """Check that Label Studio uses this backend; it calls only the first one of a project."""
    if ours.state != CONNECTED:
        yield problem(
            _name(project),
            f"Label Studio cannot use {without_password(ours.url)}: {ours.readable_state}, "
            f"{ours.error_message or 'no reason given'}",
        )
        yield from _check_reachability(label_studio, ours.url)
    elif ours.id != first.id:
        yield problem(
            _name(project),
            f"asks only the first of its models, {first.title} at {without_password(first.url)}: "
            "remove that one under Settings > Model",
        )
    else:
        yield ok(_name(project), f"connected to {without_password(ours.url)}")


def _check_project(project: Project) -> Iterator[CheckResult]:
    """Check that annotators see suggestions, and that every image with keypoints gets some."""
    if not project.show_collab_predictions:
        yield problem(
            _name(project),
            "hides suggestions from annotators: switch on Settings > Annotation > "
            "Use predictions to prelabel tasks",
        )
    try:
        for unserved in unserved_images(project.label_config):
            yield problem(_name(project), unserved)
    except LabelConfigError as error:
        yield problem(_name(project), str(error))


def _check_extra_params(project: Project, ours: MlBackend) -> Iterator[CheckResult]:
    """Check the settings that Label Studio sends with each /setup; `check_projects` has more."""
    try:
        read_extra_params(ours.extra_params)
    except ExtraParamsError as error:
        yield problem(_name(project), f"{error}; change them under Settings > Model > Edit")


def _check_webhook(
    label_studio: LabelStudio, settings: Settings, project: Project, ours: MlBackend
) -> CheckResult:
    """Check that Label Studio sends the events of a project to this backend."""
    subject = f"Webhook of project {project.id}"
    webhooks = webhooks_of(label_studio.fetch_all(Webhook, WEBHOOKS, project=project.id), ours.url)
    found = webhook_problem(project.id, webhooks, accepted_secrets(settings))
    if found is None and _is_refused_by_password(settings, webhooks):
        found = (
            "carries another user or password than BASIC_AUTH_USER and BASIC_AUTH_PASS, so "
            f"corrections would be refused: {repair(project.id)}"
        )
    return problem(subject, found) if found else ok(subject, "sends what annotators do")


def _is_refused_by_password(settings: Settings, webhooks: Sequence[Webhook]) -> bool:
    """Return whether all that the webhooks send to be let in is a wrong user or password."""
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if user is None or password is None:
        return False
    known = password.get_secret_value()
    return all(each.secret is None and not each.sends_password(user, known) for each in webhooks)


def _check_reachability(label_studio: LabelStudio, backend: str) -> Iterator[CheckResult]:
    """Check whether Label Studio refuses an address because it is private."""
    addresses = {"/api/ml": backend, "/api/webhooks/": f"{backend.rstrip('/')}/webhook"}
    refused = [url for path, url in addresses.items() if _is_refused(label_studio, path, url)]
    if refused:
        yield problem(
            "Label Studio",
            f"refuses to call {' and '.join(without_password(url) for url in refused)}, because "
            f"this is a private address: {UNBLOCK}",
        )


def _is_refused(label_studio: LabelStudio, path: str, url: str) -> bool:
    try:
        label_studio.post(path, {"url": url, "project": NO_PROJECT, "title": "check"})
    except LabelStudioError as error:
        return BLOCKED in str(error)
    return False


def _name(project: Project) -> str:
    return f"Project {project.id}, {project.title}"
