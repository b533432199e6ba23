"""Find landmarks on an image by what its project has learnt."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from backend.database.connection import Database
from backend.learning.backbones import Backbone
from backend.learning.looks import Looks
from backend.learning.records import LearntExample, Step
from backend.learning.step_storage import StepChanged, StepStorage
from backend.settings import Settings
from model.keypoint import NamedKeypoint, Visibility
from model.naming.examples import Example
from model.naming.features import ExampleFeatures
from model.naming.learner import TOLERANCE, NamingModel, fit
from model.naming.visibility import usual_visibility
from model.naming.whole_image import found_box

logger = logging.getLogger(__name__)

MOST_FITS = 8  # of different projects, that a worker keeps

Fit = TypeVar("Fit")


@dataclass(frozen=True)
class _Learnt:
    """What the examples of a step teach.

    Attributes:
        visibility: see `usual_visibility`.
    """

    naming: NamingModel
    visibility: Mapping[str, Visibility]


@dataclass(frozen=True)
class Landmarks:
    """Landmarks on an image, and the costs by which they are shown; see `Step`."""

    points: tuple[NamedKeypoint, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)


class LastFits(Generic[Fit]):
    """Keeps the last fit of each of the projects that were used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, Fit]] = OrderedDict()

    def of(self, step: Step, make: Callable[[Step], Fit]) -> Fit:
        """Return the fit of a step; make it unless it is kept."""
        kept = self._kept.pop(step.project_uid, None)
        if kept is None or kept[0] != step.version:
            kept = (step.version, make(step))
        self._kept[step.project_uid] = kept
        while len(self._kept) > MOST_FITS:
            self._kept.popitem(last=False)
        return kept[1]


class NamedPoints:
    """Finds landmarks, and keeps the fits of the projects that were used last."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._steps = StepStorage(database, limit=settings.learn_examples)
        self._close: LastFits[_Learnt] = LastFits()
        self._regions: LastFits[NamingModel | None] = LastFits()

    def find(
        self,
        backbone: Backbone,
        project_uid: str,
        version: str,
        looks: Looks,
        labels: Collection[str],
    ) -> Landmarks:
        """Return every landmark that the project has learnt, with its probabilities.

        Args:
            version: the version of the suggestions that are to be made.
            looks: at the object, by the same backbone.
            labels: landmarks with other labels are left out.

        Raises:
            StepChanged: the project has another version meanwhile.
        """
        step = self.step(backbone, project_uid)
        if step is None:
            return Landmarks()
        if step.version != version:
            raise StepChanged(f"expected to make {version}, but {step.version} has replaced it")
        return Landmarks(self.complete(step, looks, {}, labels), step.costs)

    def step(self, backbone: Backbone, project_uid: str) -> Step | None:
        """Return what a project has learnt with a backbone; None if that is nothing yet."""
        step = self._steps.adopt(project_uid, backbone.version, backbone.extractor.key)
        return step if step is not None and step.name else None

    def complete(
        self,
        step: Step,
        looks: Looks,
        given: Mapping[str, tuple[float, float]],
        labels: Collection[str] | None,
    ) -> tuple[NamedKeypoint, ...]:
        """Return every landmark that is not given, consistent with those that are.

        Args:
            step: the current one.
            looks: at the object.
            given: label → (x, y), px, of the landmarks that somebody has placed.
            labels: landmarks with other labels are left out; None for all.

        Raises:
            StepChanged: an example of the step was changed or forgotten meanwhile.
        """
        close = self._close.of(step, self._fit)
        region = None if looks.rectangle else self.region(step)
        box = found_box(region, looks.whole(), given) if region else looks.rectangle
        found = close.naming.predict(looks.part(box or looks.searched), given)
        usual = close.visibility
        return tuple(
            NamedKeypoint(
                each.x,
                each.y,
                each.score,
                each.label,
                each.visible_probability,
                usual.get(each.label),
            )
            for each in found
            if labels is None or each.label in labels
        )

    def region(self, step: Step) -> NamingModel | None:
        """Return what finds objects in whole images; None if every example has a rectangle.

        Raises:
            StepChanged: an example of the step was changed or forgotten meanwhile.
        """
        return self._regions.of(step, self._fit_region)

    def current_region(self, backbone: Backbone, project_uid: str) -> NamingModel | None:
        """Return what finds objects in whole images now; None before the first step as well.

        Raises:
            StepChanged: as `region`.
        """
        step = self.step(backbone, project_uid)
        return None if step is None else self.region(step)

    def _fit(self, step: Step) -> _Learnt:
        members = self._steps.members(step)
        examples = [_as_example(each, each.described.close) for each in members]
        found = fit(examples, tolerance=step.tolerance or TOLERANCE)
        logger.info("Project %s: learnt from %d images", step.project_uid, step.images)
        said = [(each.example.points, each.example.visibility) for each in members]
        return _Learnt(found, usual_visibility(said))

    def _fit_region(self, step: Step) -> NamingModel | None:
        seen = [(each, each.described.whole) for each in self._steps.members(step)]
        examples = [_as_example(each, whole) for each, whole in seen if whole is not None]
        return fit(examples, rehearsed=0) if examples else None


def _as_example(learnt: LearntExample, features: bytes) -> Example:
    example = learnt.example
    return Example(
        features=ExampleFeatures.from_bytes(features),
        points=dict(example.points),
        absent=frozenset(example.absent),
        box=example.box,
        group=example.class_name,
        name=str(example.id),
    )
