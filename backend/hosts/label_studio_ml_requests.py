"""Label Studio's requests, as they reach a model in `label-studio-ml`.

The host gives a model only a part of each: neither version tells /predict's project with its time
of creation, and 2.x drops the connection that /setup brings. Therefore the body is read here anew.
"""

import json
from collections.abc import Sequence

import flask

from backend.hosts.hosted_contract import hosted_contract
from backend.labelstudio.bodies import read_object
from backend.labelstudio.schemas import PredictRequest, SetupRequest, WebhookEvent
from backend.labelstudio.shapes import Json, read
from backend.suggestions.reply import Answer

SETUP = "/setup"


def is_setup() -> bool:
    """Return whether this thread answers /setup."""
    return flask.has_request_context() and flask.request.path == SETUP


def set_up() -> str:
    """Store what /setup brings for a project, and return the version of its suggestions.

    Raises:
        ExtraParamsError: the project's settings cannot be used.
        LimitReached: see `backend.contract.limits`.
    """
    request = read(SetupRequest, read_object(flask.request.get_data()))
    return hosted_contract().set_up(request).model_version


def predict(tasks: Sequence[Json], context: Json | None) -> list[Answer]:
    """Return the predictions that are ready, one for each task, and `[]` for the others.

    Args:
        tasks: raw, as the host hands them on.
        context: what an annotator is drawing; None or empty in an ordinary request.

    Raises:
        RuntimeError: there is no request to answer.
        NoLabelConfig, LimitReached: see `LabelStudioContract.predict`.
    """
    if not flask.has_request_context():
        raise RuntimeError(
            "expected a request of Label Studio, which names the project of the tasks, got none: "
            "POST to /predict"
        )
    body = read_object(flask.request.get_data())
    params = {"context": context or None}
    return (
        hosted_contract()
        .predict(read(PredictRequest, {**body, "tasks": list(tasks), "params": params}))
        .results
    )


def take_event(action: str, data: Json) -> Json:
    """Store an event of the webhook, and begin the training that it may ask for.

    Args:
        action: such as ANNOTATION_CREATED; the host has taken it out of the body.
        data: the rest of the body, raw.

    Returns:
        What the host may tell Label Studio.

    Raises:
        LimitReached: see `LabelStudioContract.take_event`.
    """
    # The host has let numbers through that JSON, and PostgreSQL, do not allow.
    body = read_object(json.dumps({**data, "action": action}).encode(), odd_numbers=True)
    return hosted_contract().take_event(read(WebhookEvent, body), body)
