"""Label Studio's requests, as they reach a model in `label-studio-ml`.

The host gives a model only a part of each: neither version tells /predict's project with its time
of creation, and 2.x drops the connection that /setup brings. Therefore the body is read here anew.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import flask

from backend.contract.limits import LimitReached
from backend.hosts.hosted_contract import hosted_contract
from backend.labelstudio.bodies import read_object
from backend.labelstudio.schemas import PredictRequest, SetupRequest, WebhookEvent
from backend.labelstudio.shapes import Json, read
from backend.labelstudio.status_line import status_line
from backend.suggestions.reply import Answer

SETUP = "/setup"


def is_setup() -> bool:
    """Return whether this thread answers /setup."""
    return flask.has_request_context() and flask.request.path == SETUP


@contextmanager
def refusals_answered() -> Iterator[None]:
    """Have a request beyond the limits answered as our own web process does.

    The host makes status 500 of every exception, so the answer is replaced after it.

    Raises:
        LimitReached: from the block.
    """
    try:
        yield
    except LimitReached as error:
        answer = flask.jsonify(error=str(error))
        answer.status = status_line(error.status, str(error))
        answer.headers["Retry-After"] = str(error.retry_after)
        flask.after_this_request(lambda _: answer)
        raise


def set_up() -> str:
    """Store what /setup brings for a project, and return the version of its suggestions.

    Raises:
        ExtraParamsError: the project's settings cannot be used.
        LimitReached: see `backend.contract.limits`.
    """
    request = read(SetupRequest, read_object(flask.request.get_data()))
    with refusals_answered():
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
    request = read(PredictRequest, {**body, "tasks": list(tasks), "params": params})
    with refusals_answered():
        return hosted_contract().predict(request).results


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
    event = read(WebhookEvent, body)
    with refusals_answered():
        return hosted_contract().take_event(event, body)
