"""The doctor's check of the web process."""

from collections.abc import Iterator

import requests

from backend.commands.doctor_results import CheckResult, ok, problem
from backend.commands.serve import address_of
from backend.labelstudio.errors import innermost
from backend.settings import Settings
from backend.training.registry import active_model

TIMEOUT_SECONDS = 5.0


def check_web(settings: Settings) -> Iterator[CheckResult]:
    """Check that the web process answers, and has the same model as these settings."""
    address = address_of(settings)
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy stands before our own machine
            answer = session.get(f"{address}/health", timeout=TIMEOUT_SECONDS)
    except requests.Timeout:
        yield problem(
            "Web process",
            f"{address}/health gave no answer within {TIMEOUT_SECONDS:g} s: the process hangs or "
            "the machine is overloaded; look at its log, and restart it",
        )
        return
    except requests.RequestException as error:
        yield problem(
            "Web process",
            f"no answer from {address}/health ({innermost(error)}): start "
            "`python -m backend serve`, or set HOST and PORT to its address",
        )
        return
    found = _model_version(answer)
    if found is None:
        program = answer.headers.get("Server", "unknown")
        yield problem(
            "Web process",
            f"another program (Server: {program}) answers at {address}: stop it, or set PORT to a "
            "free one",
        )
    else:
        yield from _check_version(settings, address, found)


def _model_version(answer: requests.Response) -> str | None:
    """Return the model version that a web process answers; None if it is another program."""
    try:
        found = answer.json()
    except requests.JSONDecodeError:
        return None
    version = found.get("model_version") if isinstance(found, dict) else None
    return version if isinstance(version, str) else None


def _check_version(settings: Settings, address: str, found: str) -> Iterator[CheckResult]:
    try:
        expected = active_model(settings).version
    except OSError:
        return  # the check of the model has said so
    if found == expected:
        yield ok("Web process", f"answers at {address}")
    else:
        yield problem(
            "Web process",
            f"{address} has the model {found}, but these settings give {expected}: use the same "
            "settings for both, and restart it",
        )
