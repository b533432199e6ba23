"""The settings of the detector as environment variables, such as DETECTOR_WINDOW."""

from dataclasses import fields
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from pydantic import BeforeValidator, create_model
from pydantic_settings import BaseSettings

from model.settings import DEFAULT, DetectorSettings

DETECTOR_PREFIX = "detector_"


def _or_none(value: object) -> object:
    """Read the word `none` as None, because an empty variable counts as not set."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


def _detector_fields() -> dict[str, tuple[Any, Any]]:
    """Return a field for each setting of the detector, with its type and default there."""
    hints = get_type_hints(DetectorSettings)
    return {
        DETECTOR_PREFIX + field.name: (_readable(hints[field.name]), getattr(DEFAULT, field.name))
        for field in fields(DetectorSettings)
    }


def _readable(hint: Any) -> Any:
    """Accept `none` as the value of a variable that may be None."""
    return Annotated[hint, BeforeValidator(_or_none)] if NoneType in get_args(hint) else hint


if TYPE_CHECKING:  # no type checker knows the generated fields
    DetectorVariables = BaseSettings
else:
    DetectorVariables = create_model(
        "DetectorVariables", __base__=BaseSettings, **_detector_fields()
    )
