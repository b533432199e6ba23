"""The detector as an auto-annotation function of CVAT, for `cvat-cli task auto-annotate`.

    python -m cvat_cli task auto-annotate 7 --function-module backend.hosts.cvat_function \\
        -p labels=str:beak,tail

It is the protocol of `cvat_sdk.auto_annotation`, version 2.80: `create` returns an object with
`spec` and `detect`. Detection runs in the process of cvat-cli, which hands over pixels and wants
shapes at once; it uses the settings, the database and so the models of the backend.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from backend.database.connection import Database
from backend.database.prepare import DatabaseUnusable, prepare_database
from backend.hosts.cvat_client import CvatError, cvat_of
from backend.hosts.cvat_detection import ImageDetection
from backend.hosts.cvat_labels import PointLabels, declared_labels, point_labels
from backend.hosts.cvat_schemas import Label
from backend.hosts.cvat_shapes import to_shapes
from backend.hosts.cvat_task import task_labels
from backend.labelstudio.shapes import Json
from backend.settings import SettingsError, load_settings
from backend.suggestions.detection import Refused
from backend.suggestions.detector import ModelUnusable
from model.decoding import UnreadableImage, pixels_of

try:
    import cvat_sdk.auto_annotation as cvataa
    from cvat_sdk import models
except ImportError as error:
    raise ImportError(
        f"{error}: this module needs CVAT's SDK: pip install -r requirements-cvat.txt"
    ) from error

if TYPE_CHECKING:
    from PIL import Image

logger = logging.getLogger(__name__)


class KeypointFunction:
    """What cvat-cli calls.

    Args:
        labels: that the spec declares; cvat-cli finds those of the task by their names.
        used: which of them receive keypoints.
    """

    def __init__(
        self, labels: Sequence[Label], used: PointLabels, detection: ImageDetection
    ) -> None:
        self._labels = used
        self._detection = detection
        declared = [each for each in labels if each.id in used.shape_label_ids]
        self.spec = cvataa.DetectionFunctionSpec(labels=[_declared(each) for each in declared])

    def detect(
        self, context: cvataa.DetectionFunctionContext, image: "Image.Image"
    ) -> list[models.LabeledShapeRequest]:
        """Return the shapes on an image whose score is at least that of the context, if it has one.

        On an image that cannot be used there are none; the log says why.
        """
        try:
            regions = self._detection.regions(pixels_of(image))
        except (UnreadableImage, Refused, ValueError) as error:
            logger.warning("%s gets no suggestions: %s", context.frame_name, error)
            return []
        least = context.conf_threshold or 0.0
        certain = [region for region in regions if region["score"] >= least]
        return [_shape(each.json) for each in to_shapes(certain, self._labels)]


def create(labels: str = "", skeleton: str = "", task: int = 0) -> KeypointFunction:
    """Return the function; the arguments are those of `-p NAME=TYPE:VALUE`.

    Args:
        labels: names of labels of the task, separated by commas; of a task, all if there are none.
        skeleton: the label of the skeleton that they are parts of; of no use with `task`.
        task: number of the task: its labels are read first, and checked, and its landmarks are
            those that the project has learnt. It needs CVAT_URL and CVAT_ACCESS_TOKEN.

    Raises:
        SystemExit: with one line that says what to do; cvat-cli would show others as a traceback.
    """
    try:
        return _create([name.strip() for name in labels.split(",") if name.strip()], skeleton, task)
    except (CvatError, SettingsError, DatabaseUnusable, ModelUnusable, OSError) as error:
        raise SystemExit(str(error)) from error


def _create(names: Sequence[str], skeleton: str, task: int) -> KeypointFunction:
    settings = load_settings()
    uid = None
    if task:
        uid, declared = task_labels(cvat_of(settings), task)
        used = point_labels(declared, names)
    else:
        declared = declared_labels(names, skeleton or None)
        used = point_labels(declared)
    prepare_database(settings)
    torch.set_num_threads(settings.detection_threads)
    detection = ImageDetection(settings, Database(settings.database), used, uid)
    detection.load()
    return KeypointFunction(declared, used, detection)


def _declared(label: Label) -> models.PatchedLabelRequest:
    if label.type != "skeleton":
        return cvataa.label_spec(label.name, label.id, type=label.type)
    parts = [cvataa.keypoint_spec(part.name, part.id) for part in label.sublabels]
    return cvataa.skeleton_label_spec(label.name, label.id, parts)


def _shape(json: Json) -> models.LabeledShapeRequest:
    """Return a shape as the SDK models it; cvat-cli sets its frame, its source and its label."""
    values = dict(json)
    parts = values.pop("elements", None)
    if parts is not None:
        values["elements"] = [models.SubLabeledShapeRequest(**part) for part in parts]
    return models.LabeledShapeRequest(**values)
