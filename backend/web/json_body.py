"""The JSON in a request's body; see `backend.labelstudio.bodies`."""

from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest

from backend.labelstudio.bodies import BodyError, read_object
from backend.labelstudio.shapes import Json, ShapeError, ShapeT, read
from backend.web.browser_requests import refuse_forms


def json_object(*, odd_numbers: bool = False) -> Json:
    """Return the request's body as raw JSON.

    Args:
        odd_numbers: see `read_object`.

    Raises:
        BadRequest: the body is not a JSON object, or is nested too deep.
        UnsupportedMediaType: a form of another site may have sent it.
    """
    refuse_forms()
    raw = _body()
    try:
        return read_object(raw, odd_numbers=odd_numbers)
    except BodyError as error:
        raise BadRequest(str(error)) from None


def _body() -> bytes:
    """Return the body of the request.

    Raises:
        BadRequest: it does not come as announced.
    """
    try:
        return request.get_data()
    except (OSError, ValueError, ParseException) as error:
        raise BadRequest(f"expected a whole body, got none: {error}") from None


def parsed(shape: type[ShapeT], body: Json) -> ShapeT:
    """Return raw JSON as a typed value.

    Raises:
        BadRequest: a field is missing or malformed; the answer says which.
    """
    try:
        return read(shape, body)
    except ShapeError as error:
        raise BadRequest(str(error)) from None
