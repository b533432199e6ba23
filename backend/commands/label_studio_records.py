"""What only the commands `doctor` and `demo` read from Label Studio's API."""

from typing import Any

from pydantic import Field

from backend.labelstudio.shapes import Count, Flag, Id, Json, OrNone, Shape, Text


class User(Shape):
    """The user that a token belongs to."""

    email: Text = Field(description="an email address")


class AnnotatedTask(Shape):
    """A task with the number of its submitted annotations."""

    id: Id = Field(description="a whole number")
    total_annotations: Count = Field(description="a number of annotations")


class MlBackend(Shape):
    """An ML backend that a project is connected to.

    Attributes:
        state: `CO` if Label Studio can use it.
        readable_state, error_message: the state and its reason in words.
        extra_params: raw; see `project_settings.read_extra_params`.
    """

    id: Id = Field(description="a whole number")
    url: Text = Field(description="an address")
    title: OrNone[Text] = None
    model_version: OrNone[Text] = None
    state: OrNone[Text] = None
    readable_state: OrNone[Text] = None
    error_message: OrNone[Text] = None
    extra_params: Any = None


class Webhook(Shape):
    """A webhook of a project.

    Attributes:
        headers: that Label Studio sends with each event; raw.
    """

    id: Id = Field(description="a whole number")
    url: Text = Field(description="an address")
    is_active: Flag = True
    send_payload: Flag = True
    send_for_all_actions: Flag = True
    headers: OrNone[Json] = None
