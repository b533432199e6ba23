"""What Label Studio has of a prediction and its task: the look that comes before a delivery."""

import logging
from collections.abc import Iterable, Sequence

from backend.labelstudio import schemas
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.errors import lies_outside
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.projects import NotDeliverable, project_id_of
from backend.labelstudio.schemas import PredictionJson, Task
from backend.labelstudio.shapes import Json, read_each
from backend.suggestions.records import Prediction
from backend.suggestions.several_images import views_of

logger = logging.getLogger(__name__)


class TaskChanged(NotDeliverable):
    """The task no longer shows the image that the prediction was made for."""


def find_delivered(
    predictions: Iterable[schemas.Prediction], row: Prediction, sent: PredictionJson | None
) -> schemas.Prediction | None:
    """Find our prediction among those that a task has in Label Studio.

    Returns:
        The one with the regions of `sent`, else the first of our model version, as a task needs
        only one of each version. None if there is neither.
    """
    of_version = [each for each in predictions if each.model_version == row.model_version]
    if len(of_version) > 1:
        logger.warning(
            "Task %s of project %s has %d predictions of %s in Label Studio",
            row.task_id,
            row.project_uid,
            len(of_version),
            row.model_version,
        )
    sent_ids = _ids(sent.get("result") or []) if sent else None
    same = [each for each in of_version if _ids(each.result) == sent_ids]
    return next(iter(same or of_version), None)


def _ids(regions: Iterable[Json]) -> set[object]:
    return {region.get("id") for region in regions}


def look_at_tasks(client: LabelStudio, rows: Sequence[Prediction]) -> dict[int, Task]:
    """Fetch the tasks of several predictions of one project by one request.

    Returns:
        Task id → task. `task_of` asks again for one that is missing, so that one bad task does not
        keep the others from being delivered.

    Raises:
        Exception: of any kind that `errors.lies_outside` knows; it holds for all of the tasks.
    """
    project_id = project_id_of(rows[0].project_uid)
    if project_id is None or len(rows) == 1:
        return {}
    try:
        return client.tasks_by_id(project_id, [row.task_id for row in rows], fields="all")
    except Exception as error:
        if lies_outside(error):
            raise
        logger.debug("Tasks of project %s are looked at one by one: %s", project_id, error)
        return {}


def task_of(client: LabelStudio, row: Prediction, known: dict[int, Task]) -> Task:
    """Return the task of a prediction, with the predictions that it has in Label Studio.

    Args:
        known: tasks that were fetched already. The one that is returned is taken out: a second
            prediction of the same task may have to find the first.

    Raises:
        TaskChanged: it is deleted, or cannot be in Label Studio.
        LabelStudioError: it cannot be fetched.
    """
    project_id = project_id_of(row.project_uid)
    if project_id is None:
        raise TaskChanged(
            f"expected a project of Label Studio, such as 3.1795347724, got {row.project_uid}: "
            "the prediction is kept here and not delivered"
        )
    task = known.pop(row.task_id, None) or client.task(project_id, row.task_id, fields="all")
    if task is None:
        raise _changed(row, "is deleted")
    return task


def predictions_of(client: LabelStudio, task: Task) -> list[schemas.Prediction]:
    """Return the predictions that a task has in Label Studio.

    Raises:
        LabelStudioError: they did not come with the task, and cannot be fetched.
    """
    if "predictions" not in task.model_fields_set:
        return client.predictions(task.id)
    return read_each(schemas.Prediction, task.predictions)


def check_task(task: Task, row: Prediction, control: KeypointControl) -> None:
    """Make sure that the task still shows the images that the prediction was made for.

    Label Studio on SQLite reuses the ids of deleted tasks.

    Raises:
        TaskChanged: it shows another image.
    """
    for view in views_of(row):
        own = control.on(view.to_name)
        if own is not None and task.image_url(own.image_path) != view.image_url:
            raise _changed(row, "shows another one")


def _changed(row: Prediction, what: str) -> TaskChanged:
    return TaskChanged(
        f"expected task {row.task_id} to show the image that its prediction was made for, but in "
        f"Label Studio it {what}: the prediction is kept here and not delivered"
    )
