"""The two versions of `label-studio-ml` that there are, and what a model has to change in each.

1.0.9, the last on PyPI, has one model for all projects, which learns of no project. Its manager
asks a job manager for the model's version, and hands it the events of the webhook: the two that it
brings start a process for each event, or drop all events but one.

2.x, in HumanSignal's repository alone, makes a model for each request. It drops the events that
`TRAIN_EVENTS` does not name, the deletion of annotations among them.
"""

from types import ModuleType
from typing import Any

from backend.contract.service import HANDLED_EVENTS
from backend.hosts.label_studio_ml_requests import set_up

WHAT_TO_DO = (
    "run `make label-studio-ml`, which installs and starts it in an environment of its own, or "
    "install requirements-label-studio-ml.txt into the environment that is to host the model"
)

try:
    import label_studio_ml
    from label_studio_ml import api, model
except ImportError as error:
    raise ImportError(
        f"expected the package label-studio-ml, but it cannot be imported ({error}): {WHAT_TO_DO}"
    ) from error

LabelStudioMLBase, init_app = model.LabelStudioMLBase, api.init_app


class DirectJobs:
    """Job manager for 1.0.9 that handles each event at once, in the thread that answers it."""

    def get_result(self, model_version: str | None = None) -> dict[str, str]:
        """Store what /setup brings, and return what 1.0.9 takes the model's version from."""
        return {"job_id": set_up()}

    def run_job(self, model_class: type[Any], args: tuple[str, dict[str, Any], str]) -> None:
        """Hand an event of the webhook to the model.

        Args:
            args: name of the event, its body without the name, and an id for the job.
        """
        event, data, _ = args
        model_class().fit(event=event, data=data)


def adapt(models: ModuleType, routes: ModuleType) -> None:
    """Have the installed version tell Label Studio our versions, and hand on every event.

    Args:
        models, routes: `label_studio_ml.model` and `label_studio_ml.api`.

    Raises:
        ImportError: it is neither 1.0.9 nor 2.x; the message says what to do.
    """
    manager = getattr(models, "LabelStudioMLManager", None)
    if hasattr(manager, "get_job_manager"):
        manager.get_job_manager = staticmethod(DirectJobs)  # type: ignore[union-attr]
    elif hasattr(routes, "TRAIN_EVENTS") and hasattr(models.LabelStudioMLBase, "setup"):
        routes.TRAIN_EVENTS = HANDLED_EVENTS  # type: ignore[attr-defined]
    else:
        found = getattr(label_studio_ml, "__version__", "another version")
        raise ImportError(f"expected label-studio-ml 1.0.9 or 2.x, got {found}: {WHAT_TO_DO}")


adapt(model, api)
