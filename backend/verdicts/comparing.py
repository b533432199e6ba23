"""Compare an annotation with the prediction that was chosen for it, image by image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from backend.database.connection import Database
from backend.labelstudio.class_controls import KINDS as CLASS_KINDS
from backend.labelstudio.label_config import LabelConfigError, keypoint_control, skeleton_of
from backend.labelstudio.projects import Project, ProjectStorage
from backend.labelstudio.regions import Region
from backend.labelstudio.skeletons import KIND as SKELETON
from backend.labelstudio.visibility import visibility_control_of
from backend.settings import Settings
from backend.suggestions.interactive_storage import InteractiveStorage
from backend.suggestions.presentation import Presentation
from backend.suggestions.records import PredictedImage
from backend.suggestions.storage import PredictionStorage
from backend.verdicts.drawn import Shown, Unusable
from backend.verdicts.follow_ups import judge_follow_ups
from backend.verdicts.images import on_image, regions_on_each
from backend.verdicts.judging import judge
from backend.verdicts.records import Candidate, State

UNUSABLE_IMAGE = "an image that could not be used when its suggestions were made"


class Comparisons:
    """Judges annotations by what the database has of their predictions."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._presentation = Presentation(settings, database)
        self._projects = ProjectStorage(database)
        self._predictions = PredictionStorage(database)
        self._interactive = InteractiveStorage(database)

    def compared(self, state: State, chosen: Candidate, result: Sequence[object]) -> State:
        """Return a state with the verdicts, and in `further` those on other images.

        Args:
            state: says whether the suggestions were shown.
            result: regions of the annotation, raw JSON.
        """
        states = states_on(state, chosen)
        try:
            sent = self._sent(state, chosen)
            parts, elsewhere = regions_on_each(result, [each.to_name for each in chosen.images])
        except (Unusable, LabelConfigError) as error:
            return replace(states[0], reason=str(error))
        first, *further = [
            self._judged(*each, sent) for each in zip(states, chosen.images, parts, strict=True)
        ]
        return replace(first, unused=[*first.unused, *elsewhere], further=further)

    def _judged(
        self, state: State, image: PredictedImage, result: Sequence[object], sent: Sequence[Region]
    ) -> State:
        """Return a state with the verdicts about one image.

        Args:
            result: the regions of the annotation on this image.
            sent: the suggestions on all images.
        """
        detection = image.detection
        if detection is None:
            return replace(state, reason=UNUSABLE_IMAGE)
        own = [each for each in sent if image.to_name in (None, each.get("to_name"))]
        project = self._project_to_read([*result, *own], state.project_uid)
        config = (project and project.label_config) or ""
        shown = Shown(
            own,
            detection.width,
            detection.height,
            detection.box,
            visibility=visibility_control_of(project, image.to_name),
            skeleton=skeleton_of(config) if project else None,
        )
        try:
            judgement = judge(
                shown,
                result,
                made_from_it=bool(state.shown),
                class_control=_class_control(config, image.to_name) if project else None,
            )
        except Unusable as error:
            return replace(state, reason=str(error))
        answers = self._interactive.of_task(state.project_uid, state.task_id)
        return replace(
            state,
            outcome="judged",
            objects=judgement.objects,
            verdicts=(*judgement.verdicts, *judge_follow_ups(answers, shown, result)),
            unused=judgement.unused,
        )

    def _project_to_read(self, regions: Sequence[object], uid: str) -> Project | None:
        """Return a project if only its configuration tells what regions mean, else None."""
        kinds = (*CLASS_KINDS, SKELETON)
        if any(isinstance(each, Mapping) and each.get("type") in kinds for each in regions):
            return self._projects.project(uid)
        return None

    def _sent(self, state: State, chosen: Candidate) -> Sequence[Region]:
        """Return the suggestions; withheld ones as they would have been sent."""
        if chosen.sent is not None:
            return chosen.sent["result"]
        project = self._projects.project(state.project_uid)
        row = self._predictions.prediction(chosen.prediction_id)
        assert project is not None and row is not None, "guaranteed by the foreign keys"
        control = keypoint_control(project.label_config or "")
        return self._presentation.as_sent(row, project, control)["result"]


def states_on(state: State, chosen: Candidate) -> list[State]:
    """Return a state on each image of a prediction, with what was found there."""
    return [
        _with_facts(on_image(state, None if image.to_name is None else number), image)
        for number, image in enumerate(chosen.images)
    ]


def _with_facts(state: State, image: PredictedImage) -> State:
    detection = image.detection
    if detection is None:
        return state
    return replace(
        state,
        score=detection.probability,
        class_name=detection.class_name,
        width=detection.width,
        height=detection.height,
    )


@lru_cache(maxsize=64)
def _class_control(label_config: str, to_name: str | None) -> str | None:
    try:
        control = keypoint_control(label_config).on(to_name)
    except LabelConfigError:  # each choice is then listed as unused, with this reason
        return None
    return control.choices.from_name if control and control.choices else None
