"""Which points of a detection Label Studio gets, by the settings of the project and the deployment.

The points are chosen when a prediction is sent, from all that the detector found: a new threshold
needs no new detection.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from backend.database.connection import Database
from backend.labelstudio.class_controls import KINDS as CLASS_KINDS
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import Project
from backend.labelstudio.regions import to_prediction
from backend.labelstudio.schemas import PredictionJson
from backend.labelstudio.shapes import Json
from backend.labelstudio.visibility import visibility_control_of
from backend.settings import Settings
from backend.suggestions.listed import control_in_task
from backend.suggestions.objects import landmarks_by_object
from backend.suggestions.parents import Parents
from backend.suggestions.records import Prediction
from backend.suggestions.several_images import views_of
from backend.suggestions.shown import (
    best_share,
    is_label_known,
    landmarks_to_show,
    shows_unnamed,
)
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.unnamed_points import points_of_each
from model.keypoint import Detection, Keypoint, NamedKeypoint, select_best
from model.naming.acquisition import expected_share_right


class Presentation:
    """Converts predictions that are ready to what Label Studio's API takes."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._default_label = settings.default_label
        self._suggest = settings.suggest
        self._detector = settings.detector_settings()
        self._predictions = PredictionStorage(database)

    def as_sent(
        self, row: Prediction, project: Project, control: KeypointControl
    ) -> PredictionJson:
        """Return a prediction that is ready as Label Studio gets it, about all images of the task.

        Its score is the probability of the class; of several images, the mean. Once the project has
        learnt landmarks, it is the expected share of the visible ones that need no correction: the
        lowest has most to correct.
        """
        sent, named = [], list[NamedKeypoint]()
        for view in views_of(row):
            own = control.on(view.to_name)
            if view.detection is None or own is None:
                continue  # it cannot be used, or is no longer in the configuration
            sent.append(self._on_image(view, view.detection, project, own))
            named += view.detection.named
        score = fmean(each["score"] or 0.0 for each in sent) if sent else None
        return {
            "result": _with_one_class(each["result"] for each in sent),
            "score": expected_share_right(named) if named else score,
            "model_version": row.model_version,
        }

    def _on_image(
        self, view: Prediction, detection: Detection, project: Project, control: KeypointControl
    ) -> PredictionJson:
        """Return what is shown on one image."""
        control = control_in_task(control, view.task)
        shown = self._landmarks(view, detection, project, control)
        shown += self._points(view, detection, project, control)
        objects = Parents(view, project.label_config or "")
        parents = [objects.id_of(number) for _, number in shown]
        sent = to_prediction(
            replace(detection, keypoints=tuple(point for point, _ in shown)),
            control,
            key=view.key,
            model_version=view.model_version,
            default_label=self._default_label,
            parents=parents,
            visibility=visibility_control_of(project, control.to_name) if detection.named else None,
        )
        # Label Studio's editor (1.23.2) puts the first region on top: a rectangle before its points
        # would take every click on them.
        sent["result"] = [*sent["result"], *objects.repeated_for(sent["result"])]
        return sent

    def _landmarks(
        self, row: Prediction, detection: Detection, project: Project, control: KeypointControl
    ) -> list[tuple[Keypoint, int | None]]:
        """Return the landmarks to show, best first, each with the number of its object."""
        suggest = project.settings.suggest or self._suggest
        thresholds = Thresholds(project.settings, control, default=0.0)
        found: list[tuple[Keypoint, int | None]] = [
            (point, number)
            for number, named in landmarks_by_object(detection.named, row.objects)
            for point in landmarks_to_show(named, suggest, row.costs)
            if thresholds.admit(point, point.label)
        ]
        return sorted(found, key=lambda each: each[0].score, reverse=True)

    def _points(
        self, row: Prediction, detection: Detection, project: Project, control: KeypointControl
    ) -> list[tuple[Keypoint, int | None]]:
        """Return the points to show that get the label of the class, each with its object."""
        suggest = project.settings.suggest or self._suggest
        if not shows_unnamed(suggest, detection.named):
            return []
        if suggest == "worthwhile" and not is_label_known(
            control, detection.class_name, self._default_label
        ):
            return []
        chooses = project.settings.chooses_points
        candidates = self._predictions.candidates(row) if chooses else None
        found = detection.keypoints if candidates is None else candidates
        boxes = [each.rectangle.box for each in row.objects]
        shown: list[tuple[Keypoint, int | None]] = []
        for number, points in points_of_each(found, boxes):
            if chooses:
                label = control.label(detection.class_name, self._default_label)
                chosen = self._chosen(points, candidates is None, project, control, label)
            else:
                chosen = best_share(points) if suggest == "worthwhile" else points
            shown += [(point, number) for point in chosen]
        return shown

    def _chosen(
        self,
        found: Sequence[Keypoint],
        are_chosen: bool,
        project: Project,
        control: KeypointControl,
        label: str | None,
    ) -> Sequence[Keypoint]:
        """Return the points of one object that the project's own settings choose.

        Args:
            found: best first.
            are_chosen: whether they are those that the detector shows, of which no further share is
                taken.
            label: of points whose own is none of the configuration's.
        """
        settings = project.settings
        keep = self._detector.keep if settings.keep is None else settings.keep
        limit = settings.max_keypoints
        if limit is None:
            limit = self._detector.max_keypoints
        best = select_best(
            found,
            keep=1.0 if are_chosen else keep,
            max_keypoints=None if limit == "none" else limit,
        )
        thresholds = Thresholds(settings, control, default=self._detector.min_score)
        return tuple(point for point in best if thresholds.admit(point, label))


def _with_one_class(results: Iterable[Sequence[Json]]) -> list[Json]:
    """Return the regions of all images; of a class that is about several, the first alone."""
    found: list[Json] = []
    chosen: set[str] = set()
    for result in results:
        found += [each for each in result if each.get("from_name") not in chosen]
        chosen |= {each["from_name"] for each in result if each.get("type") in CLASS_KINDS}
    return found


class Thresholds:
    """The smallest scores of points to show, by their labels.

    Args:
        settings: of the project.
        default: where the project has none.
    """

    def __init__(
        self, settings: ProjectSettings, control: KeypointControl, *, default: float
    ) -> None:
        self._control = control
        self._default = default if settings.threshold is None else settings.threshold
        self._of_label = {
            label: threshold
            for name, threshold in (settings.thresholds or {}).items()
            if (label := control.find_label(name)) is not None
        }

    def admit(self, point: Keypoint, label: str | None) -> bool:
        """Return whether a point is shown.

        Args:
            label: what it gets if its own label is none of the configuration's.
        """
        own = self._control.find_label(point.label) or label
        threshold = self._of_label.get(own, self._default) if own else self._default
        return point.score >= threshold
