"""Settings of one project: the JSON in "Any extra params" of Label Studio's Connect Model dialog.

Label Studio stores what was entered and sends it with every /setup as `extra_params`: text from the
dialog, an object if its API was used, null if nothing was entered.
"""

import difflib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from backend.labelstudio.shapes import Json, Name, describe
from model.keypoint import Visibility

DEPLOYMENT = "deployment"
EXAMPLE = '{"threshold": 0.4, "max_keypoints": 10}'

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PositiveShare = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Suggest = Literal["always", "worthwhile", "learnt"]


class ExtraParamsError(ValueError):
    """The extra params cannot be used; the message says what was expected, what came, in a line."""


class ProjectSettings(BaseModel):
    """Settings of one project; None wherever the deployment's setting holds.

    Attributes:
        thresholds: label, as value or alias → its own threshold.
        model: version of a model, or `DEPLOYMENT`.
        tolerance: share of the longer side of the object's box.
        visibility: choice about a point, as value or alias → what it means.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    threshold: Share | None = Field(default=None, description="a number from 0 to 1")
    thresholds: dict[Name, Share] | None = Field(
        default=None,
        description='an object of labels with numbers from 0 to 1, such as {"wheel": 0.6}',
    )
    max_keypoints: Annotated[int, Field(ge=1)] | Literal["none"] | None = Field(
        default=None, description='a whole number of at least 1, or "none" for no limit'
    )
    keep: PositiveShare | None = Field(default=None, description="a number above 0 and at most 1")
    model: Annotated[Name, Field(max_length=200)] | None = Field(
        default=None, description=f'the version of a model, or "{DEPLOYMENT}"'
    )
    suggest: Suggest | None = Field(default=None, description='"always", "worthwhile" or "learnt"')
    tolerance: PositiveShare | None = Field(
        default=None, description="a number above 0 and at most 1"
    )
    visibility: dict[Name, Visibility] | None = Field(
        default=None,
        description='an object of choices with "visible" or "occluded", such as '
        '{"verdeckt": "occluded"}',
    )

    @property
    def chooses_points(self) -> bool:
        """Whether it changes which points are shown."""
        chosen = (self.threshold, self.thresholds, self.max_keypoints, self.keep)
        return any(value is not None for value in chosen)

    def as_json(self) -> Json:
        """Return the settings that were made."""
        return self.model_dump(exclude_none=True)

    def __str__(self) -> str:
        return json.dumps(self.as_json(), ensure_ascii=False) if self.as_json() else "none"


NO_SETTINGS = ProjectSettings()


def read_extra_params(raw: object) -> ProjectSettings:
    """Return the settings that /setup brings.

    Raises:
        ExtraParamsError: they are malformed; the message lists every problem.
    """
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return NO_SETTINGS
    values = _decoded(raw) if isinstance(raw, str) else raw
    if not isinstance(values, Mapping):
        raise ExtraParamsError(
            f"Extra params: expected JSON such as {EXAMPLE}, got {describe(raw)}"
        )
    try:
        return ProjectSettings.model_validate(values)
    except ValidationError as error:
        problems = {_problem(each, values): None for each in error.errors(include_url=False)}
        raise ExtraParamsError(f"Extra params: {'; '.join(problems)}") from None


def _decoded(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ExtraParamsError(
            f"Extra params: expected JSON such as {EXAMPLE}, got {describe(text)} ({reason})"
        ) from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _problem(error: ErrorDetails, values: Mapping[Any, Any]) -> str:
    name = error["loc"][0]
    if error["type"] == "extra_forbidden":
        return _unknown(str(name))
    expected = ProjectSettings.model_fields[str(name)].description
    return f"expected {name} to be {expected}, got {_shown(values[name])}"


def _unknown(name: str) -> str:
    known = list(ProjectSettings.model_fields)
    closest = difflib.get_close_matches(name, known, n=1)
    meant = f" (did you mean {closest[0]}?)" if closest else ""
    return f"unknown key {ascii(name)[:60]}{meant}: the keys are {', '.join(known)}"


def _shown(value: object) -> str:
    """Return how an error shows a value: as JSON, at most its first 60 characters."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:60]}..."
