"""What the commands read from Label Studio's API; fields that they do not use are ignored."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class User(_Record):
    """The user that a token belongs to."""

    email: str


class ProjectRecord(_Record):
    """A project.

    Attributes:
        show_collab_predictions: whether annotators see suggestions.
    """

    id: int
    title: str
    label_config: str
    show_collab_predictions: bool = True


class TaskData(_Record):
    """The data of a task of the demonstration."""

    image: str


class TaskRecord(_Record):
    """A task of the demonstration."""

    id: int
    data: TaskData


class PredictionRecord(_Record):
    """A prediction; `result` is its regions in Label Studio's JSON."""

    id: int
    task: int
    model_version: str | None
    result: list[dict[str, Any]]

    @property
    def keypoints(self) -> int:
        """Number of keypoints."""
        return sum(region["type"] == "keypointlabels" for region in self.result)

    @property
    def classes(self) -> list[str]:
        """Class of the whole image, if one was suggested."""
        choices = [region for region in self.result if region["type"] == "choices"]
        return [region["value"]["choices"][0] for region in choices]


class MlBackend(_Record):
    """An ML backend that a project is connected to.

    Attributes:
        state: `CO` if Label Studio can use it.
        readable_state, error_message: the state and its reason in words.
    """

    id: int
    title: str | None = None
    url: str
    model_version: str | None = None
    state: str | None = None
    readable_state: str | None = None
    error_message: str | None = None


class WebhookRecord(_Record):
    """A webhook of a project.

    Attributes:
        headers: that Label Studio sends with each event.
    """

    id: int | None = None
    url: str
    is_active: bool = True
    send_payload: bool = True
    send_for_all_actions: bool = True
    headers: dict[str, Any] | None = None
