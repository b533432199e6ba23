"""What every detection job of a worker process uses."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rq import Queue

from backend.database.connection import Database
from backend.labelstudio.images import Images
from backend.labelstudio.projects import LabelStudios, ProjectStorage
from backend.learning.backbones import Backbone, Backbones, BackboneUnusable
from backend.learning.named_points import NamedPoints
from backend.learning.step_storage import StepStorage
from backend.settings import Settings
from backend.suggestions.detector import ActiveDetectors, LoadedDetector, ModelUnusable
from backend.suggestions.maps import MapStorage
from backend.suggestions.next_image import NextImages
from backend.suggestions.storage import PredictionStorage
from model.keypoint import Box, Detection


class Deliverer(Protocol):
    """Delivers a prediction at once, or has it delivered soon."""

    def deliver(self, prediction_id: int) -> None:
        """Deliver a prediction that is due."""


@dataclass(frozen=True)
class JobContext:
    """Services and settings that every job of this process uses.

    Attributes:
        queue: that predictions come from; None to fetch no image ahead.
    """

    settings: Settings
    database: Database
    studios: LabelStudios
    delivery: Deliverer
    detectors: ActiveDetectors
    queue: Queue | None = None

    @cached_property
    def steps(self) -> StepStorage:
        """The table of what projects have learnt."""
        return StepStorage(self.database, limit=self.settings.learn_examples)

    @cached_property
    def named_points(self) -> NamedPoints:
        """What finds landmarks by what projects have learnt."""
        return NamedPoints(self.settings, self.database)

    @cached_property
    def _backbones(self) -> Backbones:
        return Backbones()

    def backbone_of(self, project_uid: str) -> Backbone:
        """Return the network of a project's model.

        Raises:
            BackboneUnusable: the model cannot be loaded.
        """
        try:
            loaded = self.detectors.get(project_uid)
        except ModelUnusable as error:
            raise BackboneUnusable(str(error)) from error
        return self.backbone_in(loaded)

    def backbone_in(self, loaded: LoadedDetector) -> Backbone:
        """Return the network of a detector that is loaded."""
        return self._backbones.of(loaded.version, loaded.detector.classifier)

    def look(self, project_uid: str, picture: NDArray[np.uint8], box: Box | None) -> Detection:
        """Return what a project's detector finds on a picture that no prediction was asked for.

        Raises:
            BackboneUnusable: the model cannot be loaded.
            ValueError: the detector rejects the picture or the box.
        """
        try:
            detector = self.detectors.get(project_uid).detector
        except ModelUnusable as error:
            raise BackboneUnusable(str(error)) from error
        return detector.detect(picture, box)

    @cached_property
    def predictions(self) -> PredictionStorage:
        """The table of predictions."""
        return PredictionStorage(self.database)

    @cached_property
    def projects(self) -> ProjectStorage:
        """The table of projects."""
        return ProjectStorage(self.database)

    @cached_property
    def images(self) -> Images:
        """The images of tasks."""
        return Images(self.settings, self.studios)

    @cached_property
    def next_images(self) -> NextImages:
        """The images of predictions, of which the next is fetched ahead."""
        return NextImages(self.images, self.predictions, self.projects, self.queue)

    @cached_property
    def maps(self) -> MapStorage:
        """The maps that are kept."""
        return MapStorage(self.database)
