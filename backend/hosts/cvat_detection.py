"""Detect on an image at once, in this process, as a worker detects on the image of a task.

Model, settings, landmarks that were learnt and the choice of what is shown are those of the
workers. Nothing is stored.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.database.connection import Database
from backend.hosts.cvat_labels import PointLabels
from backend.labelstudio.projects import LabelStudios, Project, ProjectStorage
from backend.labelstudio.shapes import Json
from backend.settings import Settings
from backend.suggestions.detection import Found, detect_on
from backend.suggestions.detector import ActiveDetectors, LoadedDetector
from backend.suggestions.job_context import JobContext
from backend.suggestions.presentation import Presentation
from backend.suggestions.records import Prediction
from backend.training.registry import ModelRegistry


class ImageDetection:
    """Detects on images with the model, the settings and the landmarks of a project.

    Args:
        labels: what keypoints are called.
        project_uid: None to use nothing that was learnt from corrections.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        labels: PointLabels,
        project_uid: str | None = None,
    ) -> None:
        self._labels = labels
        self._context = JobContext(
            settings=settings,
            database=database,
            studios=LabelStudios(settings),
            delivery=_NoDelivery(),
            detectors=ActiveDetectors(settings, ModelRegistry(settings, database)),
        )
        self._presentation = Presentation(settings, database)
        # A project that got no suggestions yet has learnt nothing.
        known = ProjectStorage(database).project(project_uid) if project_uid else None
        self._is_known = known is not None
        config = labels.config()
        self._project = (
            replace(known, label_config=config) if known else Project("", None, None, config)
        )

    def load(self) -> None:
        """Load the model, so that one that cannot be loaded is known before anything else.

        Raises:
            ModelUnusable: it cannot be loaded.
        """
        self._context.detectors.get(self._project.uid or None)

    def regions(self, image: NDArray[np.uint8]) -> list[Json]:
        """Return the regions of the suggestions for an image, in Label Studio's JSON.

        Args:
            image: (H, W, 3) uint8, RGB, upright.

        Raises:
            ModelUnusable: the model cannot be loaded.
            Refused, ValueError: the image is too small.
        """
        model = self._context.detectors.get(self._project.uid or None)
        row = self._row(model)
        found = self._detect(row, model, image)
        made = replace(row, detection=found.detection, costs=found.costs, objects=found.objects)
        return self._presentation.as_sent(made, self._project, self._labels.control())["result"]

    def _detect(self, row: Prediction, model: LoadedDetector, image: NDArray[np.uint8]) -> Found:
        if not self._is_known:
            return Found(model.detector.detect(image), {}, ())
        return detect_on(self._context, row, model, self._project, image)

    def _row(self, model: LoadedDetector) -> Prediction:
        """Return a prediction that is not stored."""
        uid = self._project.uid
        version = self._context.steps.version(uid, model.version) if uid else model.version
        nothing: dict[str, Any] = dict.fromkeys(field.name for field in fields(Prediction))
        given = {"id": 0, "project_uid": uid, "task_id": 0, "model_version": version, "task": {}}
        empty = {"input_sha256": "", "image_url": "", "objects": (), "images": ()}
        return Prediction(**{**nothing, **given, **empty})


class _NoDelivery:
    def deliver(self, prediction_id: int) -> None:
        raise AssertionError("nothing is stored, so nothing is delivered")
