"""Which points of a detection Label Studio gets, by the settings of the project and the deployment.

The points are chosen when a prediction is sent, from all that the detector found: a new threshold
needs no new detection.
"""

from collections.abc import Sequence
from dataclasses import replace

from backend.database.connection import Database
from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import Project
from backend.labelstudio.regions import to_prediction
from backend.labelstudio.schemas import PredictionJson
from backend.settings import Settings
from backend.suggestions.records import Prediction
from backend.suggestions.shown import best_share, is_label_known, landmarks_to_show
from backend.suggestions.storage import PredictionStorage
from model.keypoint import Detection, Keypoint, select_best
from model.settings import DetectorSettings


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
        """Return a prediction that is ready as Label Studio gets it."""
        detection = row.detection
        assert detection is not None, "guaranteed for a prediction that is ready"
        shown = self._shown(row, detection, project, control)
        return to_prediction(
            replace(detection, keypoints=shown),
            control,
            key=row.key,
            model_version=row.model_version,
            default_label=self._default_label,
        )

    def _shown(
        self, row: Prediction, detection: Detection, project: Project, control: KeypointControl
    ) -> tuple[Keypoint, ...]:
        """Return landmarks, which have their own label, before points that get the class's."""
        suggest, settings = project.settings.suggest or self._suggest, project.settings
        landmarks = [
            point
            for point in landmarks_to_show(detection.named, suggest)
            if point.score >= (threshold_of(point.label, settings, control) or 0)
        ]
        if suggest == "learnt" or (suggest == "worthwhile" and detection.named):
            return tuple(landmarks)
        if suggest == "worthwhile" and not is_label_known(
            control, detection.class_name, self._default_label
        ):
            return ()
        points = self._without_name(row, detection, project, control)
        if suggest == "worthwhile" and not settings.chooses_points:
            points = tuple(best_share(points))
        return (*landmarks, *points)

    def _without_name(
        self, row: Prediction, detection: Detection, project: Project, control: KeypointControl
    ) -> tuple[Keypoint, ...]:
        if not project.settings.chooses_points:
            return detection.keypoints
        label = control.label(detection.class_name, self._default_label)
        return choose_points(
            detection.keypoints,
            self._predictions.candidates(row),
            project.settings,
            self._detector,
            threshold=threshold_of(label, project.settings, control),
        )


def choose_points(
    shown: tuple[Keypoint, ...],
    candidates: Sequence[Keypoint] | None,
    settings: ProjectSettings,
    detector: DetectorSettings,
    *,
    threshold: float | None,
) -> tuple[Keypoint, ...]:
    """Return the points that a project's settings show.

    Args:
        shown: the points that the detector's settings show.
        candidates: every point; None if only `shown` is known, from which no share is taken then.
        settings, detector: settings of the project, and those that hold where it has none.
        threshold: of the points' label; None for the detector's.
    """
    keep = detector.keep if settings.keep is None else settings.keep
    limit = detector.max_keypoints if settings.max_keypoints is None else settings.max_keypoints
    return select_best(
        shown if candidates is None else candidates,
        keep=1.0 if candidates is None else keep,
        max_keypoints=None if limit == "none" else limit,
        min_score=detector.min_score if threshold is None else threshold,
    )


def threshold_of(
    label: str | None, settings: ProjectSettings, control: KeypointControl
) -> float | None:
    """Return the threshold of a label: its own, else the project's, else None."""
    for name, threshold in (settings.thresholds or {}).items():
        if label is not None and control.find_label(name) == label:
            return threshold
    return settings.threshold
