"""Describe the images of tasks roughly, with the network of their project's model."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from backend.database.connection import Database
from backend.labelstudio.images import ImageFetchError, Images
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.projects import LabelStudios, NotDeliverable, Project
from backend.labelstudio.regions import RegionError, task_box
from backend.learning.backbones import Backbones
from backend.learning.records import searched_part
from backend.ordering.storage import DescriptorStorage, rounded
from backend.settings import Settings
from backend.suggestions.detector import ActiveDetectors
from backend.suggestions.records import Wanted
from backend.suggestions.storage import PredictionStorage
from backend.training.registry import ModelRegistry
from model.decoding import UnreadableImage
from model.keypoint import Box
from model.naming.descriptor import descriptor
from model.naming.features import ExampleFeatures
from model.naming.symmetry import mirrored_name

Descriptor = NDArray[np.float32]
UNUSABLE = (ImageFetchError, UnreadableImage, NotDeliverable, RegionError, ValueError)


class Describer:
    """Describes images of one project; descriptions are stored, and made once.

    Raises:
        ModelUnusable: the project's model cannot be loaded here.
    """

    def __init__(
        self, settings: Settings, database: Database, project: Project, control: KeypointControl
    ) -> None:
        registry = ModelRegistry(settings, database)
        loaded = ActiveDetectors(settings, registry).get(project.uid)
        self._detector = loaded.detector
        self._extractor = Backbones().of(loaded.version, loaded.detector.classifier).extractor
        self._project = project
        self._control = control
        self._names_sides = any(mirrored_name(label) != label for label in control.labels)
        self._images = Images(settings, LabelStudios(settings))
        self._predictions = PredictionStorage(database)
        self._storage = DescriptorStorage(database)

    @property
    def backbone_key(self) -> str:
        """Which network describes the images."""
        return self._extractor.key

    def stored(self, tasks: Sequence[Wanted]) -> dict[int, Descriptor]:
        """Return task → its description, for the tasks that have one of their present input."""
        inputs = {task.task_id: task.input_sha256 for task in tasks}
        return self._storage.of_tasks(self._project.uid, self._key, inputs)

    def described(self, tasks: Sequence[Wanted]) -> tuple[dict[int, Descriptor], Mapping[int, str]]:
        """Return task → its description, and task → why it cannot be described.

        Descriptions that are missing are made and stored one by one, so that a run that was
        interrupted goes on where it was.
        """
        found, failures = self.stored(tasks), {}
        missing = [task for task in tasks if task.task_id not in found]
        for task in tqdm(missing, desc="Looking at images", unit="image", disable=not missing):
            if task.refusal is not None:
                failures[task.task_id] = task.refusal
                continue
            try:
                found[task.task_id] = self._describe(task)
            except UNUSABLE as error:
                failures[task.task_id] = str(error)
        return found, failures

    def of_features(self, features: bytes) -> Descriptor:
        """Return the description of a learnt example."""
        return descriptor(ExampleFeatures.from_bytes(features), names_sides=self._names_sides)

    def forget_others(self, task_ids: Sequence[int]) -> None:
        """Delete the descriptions of tasks that the project no longer has."""
        self._storage.keep_only(self._project.uid, task_ids)

    @property
    def _key(self) -> str:
        return f"{self._extractor.key}{'-sides' if self._names_sides else ''}"

    def _describe(self, task: Wanted) -> Descriptor:
        picture = self._images.picture(self._project, task.image_url, task.task_id)
        features = self._extractor.extract(picture, self._part(task, picture))
        made = rounded(descriptor(features, names_sides=self._names_sides))
        uid = self._project.uid
        self._storage.save(uid, task.task_id, task.input_sha256, self._key, made)
        return made

    def _part(self, task: Wanted, picture: NDArray[np.uint8]) -> Box | None:
        """Return the part of an image where suggestions are looked for; None for all of it.

        A stored prediction of the same input knows it; without one the detector looks for it.
        """
        for row in self._predictions.of_task(task.task_id, self._project.uid):
            if row.detection is not None and row.input_sha256 == task.input_sha256:
                return searched_part(row.detection)
        height, width = picture.shape[:2]
        box = task_box(task.task, self._control, width, height)
        return searched_part(self._detector.detect(picture, box))
