"""Read JSON as typed values: the base class of all shapes, their errors, and the types of fields.

Strict about values that count: a number is never read from text, ids have at most 64 bits, and
every database can store the text.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    InstanceOf,
    PlainValidator,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

from backend.database.schema import LARGEST_ID
from backend.database.text import is_storable
from backend.labelstudio.project_uids import is_in_cvat

# Widths of the database's columns.
LONGEST_UID = 100
LONGEST_ACTION = 100

T = TypeVar("T")


class Shape(BaseModel):
    """Base class of what `read` returns."""

    model_config = ConfigDict(extra="ignore", frozen=True)


ShapeT = TypeVar("ShapeT", bound=Shape)


class ShapeError(ValueError):
    """JSON of another shape than Label Studio's; the message says what was expected and what came.

    Attributes:
        field: name of the field at fault; None if the value is not an object at all.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def read(shape: type[ShapeT], value: object) -> ShapeT:
    """Return JSON as a typed value.

    Args:
        value: decoded JSON of any kind.

    Raises:
        ShapeError: a field that the backend relies on is missing or malformed; about the first
            such field in the order of `shape`.
    """
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise _shape_error(shape, value, error) from None


def read_or_none(shape: type[ShapeT], value: object) -> ShapeT | None:
    """Return JSON as a typed value; None where `read` raises."""
    try:
        return shape.model_validate(value)
    except ValidationError:
        return None


def read_each(shape: type[ShapeT], values: Iterable[object]) -> list[ShapeT]:
    """Return the members of a list as typed values, without those that `read` refuses."""
    found = (read_or_none(shape, value) for value in values)
    return [each for each in found if each is not None]


def _shape_error(shape: type[Shape], value: object, error: ValidationError) -> ShapeError:
    place = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
    if not place or not isinstance(value, Mapping):
        return ShapeError(f"expected a JSON object, got {describe(value)}")
    name = str(place[0])
    expected = {field.alias or key: field.description for key, field in shape.model_fields.items()}
    got = describe(value[name]) if name in value else "nothing"
    return ShapeError(f"expected {expected[name]} in {name!r}, got {got}", name)


def describe(value: object) -> str:
    """Return how an error names a JSON value: its kind, or its first 60 characters in ASCII."""
    kinds = {dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
    if type(value) in kinds:
        return kinds[type(value)]
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


# Types of fields


class OnError:
    """Annotation: a malformed value counts as missing.

    Args:
        default: makes the value that takes its place.
    """

    def __init__(self, default: Any) -> None:
        self._default = default

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_default_schema(
            handler(source), default_factory=self._default, on_error="default"
        )


def _nothing() -> None:
    return None


def one_or_many(value: object) -> list[Any]:
    """Return a list as it is, a single value as a list of one, and null as an empty list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _stored_text(value: str) -> str:
    if not is_storable(value):
        raise ValueError("not storable")
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("not printable")
    return value


def _of_label_studio(value: str) -> str:
    """Refuse the uids of projects in CVAT, whose images need a token that callers do not have."""
    if is_in_cvat(value):
        raise ValueError("not a project of Label Studio")
    return value


def _empty_if_null(value: object) -> object:
    return "" if value is None else value


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _web_address(value: str | None) -> str | None:
    if not value:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address")
    return value


def _moment(value: object) -> datetime:
    """Return an ISO time in UTC; a time without a zone is taken to be in UTC."""
    if not isinstance(value, str):
        raise ValueError("not text")
    moment = datetime.fromisoformat(value)
    try:
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except OverflowError:
        raise ValueError("outside the calendar in UTC") from None


def _id_of(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value


OrNone = Annotated[T | None, OnError(_nothing)]  # None if malformed
OrEmpty = Annotated[T, OnError(list)]  # an empty list if malformed
Flag = Annotated[bool, Field(strict=True), OnError(bool)]  # False if malformed
Count = Annotated[int, Field(strict=True, ge=0)]
Json = Annotated[dict[str, Any], InstanceOf()]  # an object, raw
JsonList = Annotated[list[Any], InstanceOf()]  # a list, raw
OneOrMany = Annotated[list[Any], PlainValidator(one_or_many)]  # always a list, raw
Id = Annotated[int, Field(strict=True, ge=-LARGEST_ID, le=LARGEST_ID)]
IdOrObject = Annotated[Id, BeforeValidator(_id_of)]  # some versions send the whole object
Text = Annotated[str, Field(strict=True), AfterValidator(_stored_text)]
TextOrNull = Annotated[Text, BeforeValidator(_empty_if_null)]  # empty if null
Name = Annotated[Text, Field(min_length=1), AfterValidator(_printable)]
Action = Annotated[Name, Field(max_length=LONGEST_ACTION)]
ProjectUid = Annotated[
    Name,
    Field(max_length=LONGEST_UID),
    BeforeValidator(_number_as_text),
    AfterValidator(_of_label_studio),
]
WebAddress = Annotated[Text | None, AfterValidator(_web_address)]  # None if empty
Moment = Annotated[datetime, PlainValidator(_moment)]
Seconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
