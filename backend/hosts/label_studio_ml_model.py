"""The model that `label-studio-ml` hosts: our suggestions and verdicts, in the form that it takes.

    label-studio-ml init keypoints --script backend/hosts/label_studio_ml_model.py:KeypointDetector

It detects nothing and loads no torch: as everywhere, workers detect (`python -m backend worker`).
docs/hosts.md says how to run it.
"""

from collections.abc import Sequence
from typing import Any

from backend.hosts import label_studio_ml_requests as requests
from backend.hosts.hosted_contract import hosted_contract
from backend.hosts.label_studio_ml_versions import LabelStudioMLBase
from backend.labelstudio.shapes import Json
from backend.suggestions.reply import Answer


class KeypointDetector(LabelStudioMLBase):  # type: ignore[misc]
    """Suggests keypoints, for 1.0.9 and for 2.x of `label-studio-ml`.

    Raises:
        SettingsError, DatabaseUnusable, OSError: see `hosted_contract`; the host's option --check,
            which makes a model before it serves, shows them at once.
    """

    def __init__(self, *positional: Any, **named: Any) -> None:
        hosted_contract()
        super().__init__(*positional, **named)

    def setup(self) -> None:
        """Store what /setup brings, and tell the version; 2.x calls it for every new model."""
        if requests.is_setup():
            self.set("model_version", requests.set_up())

    def set_extra_params(self, extra_params: object) -> None:
        """Leave the project's settings as `setup` has stored them; 2.x would take only text."""

    def predict(self, tasks: Sequence[Json], context: Json | None = None, **_: Any) -> list[Answer]:
        """Return the predictions that are ready, one for each task, and `[]` for the others.

        Args:
            context: what an annotator is drawing; None or empty in an ordinary request.
        """
        return requests.predict(tasks, context)

    def fit(self, *positional: Any, **named: Any) -> Json:
        """Take an event of the webhook: `fit(event, data)`, or 1.0.9's `fit((), event=, data=)`.

        Raises:
            TypeError: it is not about an event.
        """
        received = dict(zip(("event", "data"), positional, strict=False)) | named
        event, data = received.get("event"), received.get("data")
        if not isinstance(event, str) or not isinstance(data, dict):
            raise TypeError(
                f"expected an event of Label Studio's webhook and its body, got {event!r:.60}: "
                "Label Studio sends events to /webhook, and nothing to /train since 1.4.1"
            )
        return requests.take_event(event, data)
