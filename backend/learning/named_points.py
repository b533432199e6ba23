"""Find landmarks on an image by what its project has learnt."""

import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backend.database.connection import Database
from backend.learning.backbones import Backbone
from backend.learning.records import LearntExample, Step
from backend.learning.step_storage import StepChanged, StepStorage
from backend.settings import Settings
from model.keypoint import Box, NamedKeypoint
from model.naming.examples import Example
from model.naming.features import ExampleFeatures
from model.naming.learner import TOLERANCE, NamingModel, fit

logger = logging.getLogger(__name__)

MOST_FITS = 8  # of different projects, that a worker keeps


@dataclass(frozen=True)
class Landmarks:
    """Landmarks on an image, and the costs by which they are shown; see `Step`."""

    points: tuple[NamedKeypoint, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)


class NamedPoints:
    """Finds landmarks, and keeps the fits of the projects that were used last."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._steps = StepStorage(database, limit=settings.learn_examples)
        self._fits: OrderedDict[str, tuple[str, NamingModel]] = OrderedDict()

    def find(
        self,
        backbone: Backbone,
        project_uid: str,
        version: str,
        picture: NDArray[np.uint8],
        box: Box | None,
        labels: Collection[str],
    ) -> Landmarks:
        """Return every landmark that the project has learnt, with its probabilities.

        Args:
            version: the version of the suggestions that are to be made.
            picture: (H, W, 3) uint8, RGB, upright.
            box: where to look; None for the whole image.
            labels: landmarks with other labels are left out.

        Raises:
            StepChanged: the project has another version meanwhile.
        """
        step = self.step(backbone, project_uid)
        if step is None:
            return Landmarks()
        if step.version != version:
            raise StepChanged(f"expected to make {version}, but {step.version} has replaced it")
        points = self.complete(step, backbone.extractor.extract(picture, box), {}, labels)
        return Landmarks(points, step.costs)

    def step(self, backbone: Backbone, project_uid: str) -> Step | None:
        """Return what a project has learnt with a backbone; None if that is nothing yet."""
        self._steps.adopt(project_uid, backbone.version, backbone.extractor.key)
        step = self._steps.current(project_uid, backbone.version)
        return step if step is not None and step.name else None

    def complete(
        self,
        step: Step,
        features: ExampleFeatures,
        given: Mapping[str, tuple[float, float]],
        labels: Collection[str] | None,
    ) -> tuple[NamedKeypoint, ...]:
        """Return every landmark that is not given, consistent with those that are.

        Args:
            step: the current one.
            features: of the part of the image to look at.
            given: label → (x, y), px, of the landmarks that somebody has placed.
            labels: landmarks with other labels are left out; None for all.

        Raises:
            StepChanged: an example of the step was changed or forgotten meanwhile.
        """
        found = self._fit_of(step).predict(features, given)
        return tuple(
            NamedKeypoint(each.x, each.y, each.score, each.label, each.visible_probability)
            for each in found
            if labels is None or each.label in labels
        )

    def _fit_of(self, step: Step) -> NamingModel:
        """Return the fit of a step. Of each project, only the last fit is kept."""
        kept = self._fits.pop(step.project_uid, None)
        if kept is None or kept[0] != step.version:
            examples = [_as_example(each) for each in self._steps.members(step)]
            kept = (step.version, fit(examples, tolerance=step.tolerance or TOLERANCE))
            logger.info("Project %s: learnt from %d images", step.project_uid, step.images)
        self._fits[step.project_uid] = kept
        while len(self._fits) > MOST_FITS:
            self._fits.popitem(last=False)
        return kept[1]


def _as_example(learnt: LearntExample) -> Example:
    example = learnt.example
    return Example(
        features=ExampleFeatures.from_bytes(learnt.features),
        points=dict(example.points),
        absent=frozenset(example.absent),
        box=example.box,
        group=example.class_name,
        name=str(example.id),
    )
