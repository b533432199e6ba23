"""The submitted annotations that pass the filters, task by task.

What was compared with a suggestion comes from the verdict log. All other annotations come from the
events that brought them; those that only a pull brought are counted as left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from backend.agreement.exports.events import (
    FLAGS,
    Events,
    Json,
    image_size,
    regions_of,
    regions_on,
    visibilities,
)
from backend.agreement.exports.queries import (
    ChosenStates,
    ExportQueries,
    LoggedState,
    LoggedVerdict,
)
from backend.agreement.exports.records import (
    VISIBLE,
    DrawnBox,
    ExportedAnnotation,
    ExportedPoint,
    ExportedTask,
    Origin,
)
from backend.labelstudio.label_config import (
    KeypointControl,
    LabelConfigError,
    keypoint_control,
)
from backend.labelstudio.skeletons import Skeleton
from backend.labelstudio.task_values import value_at
from backend.labelstudio.visibility import VisibilityControl, visibility_control_of
from backend.verdicts.drawn import Shown, Unusable
from backend.verdicts.judging import Verdict, judge
from backend.verdicts.records import Filters
from model.keypoint import Box

PORTION = 250  # annotations, at least, that lie in memory at a time


class AnnotationStream:
    """Annotations to export. Each pass over them gives the same ones.

    Attributes:
        label_configs: project uid → its labelling configuration, where it is known.
    """

    def __init__(self, queries: ExportQueries, filters: Filters, *, one_per_image: bool) -> None:
        self._queries = queries
        self._events = Events(queries)
        self._label = filters.label
        self._chosen: ChosenStates = queries.choose(filters, one_per_image=one_per_image)
        self.label_configs = queries.label_configs(self._chosen.project_uids)
        self._projects = queries.projects(self._chosen.project_uids)

    def portions(self, *, with_regions: bool = False) -> Iterator[list[ExportedTask]]:
        """Yield tasks, some at a time.

        Args:
            with_regions: whether to fill in `result`, which takes longer.
        """
        for ids in self._chosen.portions(PORTION):
            yield self._portion(ids, with_regions)

    def tasks(self) -> Iterator[ExportedTask]:
        """Yield tasks one by one."""
        for portion in self.portions():
            yield from portion

    def configured_labels(self) -> list[str]:
        """Return the labels of the projects' configurations, in their order."""
        labels: dict[str, None] = {}
        for config in self.label_configs.values():
            try:
                for control in keypoint_control(config).of_images:
                    labels |= dict.fromkeys(control.labels)
            except LabelConfigError:
                continue  # changed since: the labels that annotations use are found in them
        return list(labels)

    def _portion(self, ids: Sequence[int], with_regions: bool) -> list[ExportedTask]:
        found = self._queries.states(ids)
        verdicts = self._queries.verdicts(ids, self._label)
        never_compared = [each.id for each in found if each.outcome != "judged"]
        event_ids = self._queries.event_ids(ids, of_visibility=not with_regions)
        event_ids |= self._queries.event_ids(never_compared, of_visibility=False)
        tasks = []
        for (project_uid, task_id, _), of_image in groupby(found, key=_image):
            states = list(of_image)
            annotations = [
                each
                for state in states
                if (each := self._annotation(state, verdicts.get(state.id, ()), event_ids))
            ]
            if not with_regions:
                annotations = [replace(each, result=None) for each in annotations]
            left_out = len(states) - len(annotations)
            tasks.append(ExportedTask(project_uid, task_id, annotations, left_out))
        return tasks

    def _annotation(
        self,
        state: LoggedState,
        verdicts: Sequence[LoggedVerdict],
        event_ids: Mapping[int, int],
    ) -> ExportedAnnotation | None:
        """Return the annotation of a state; None if the log does not have enough of it."""
        event_id = event_ids.get(state.id)
        regions = None
        if event_id is not None:
            regions = regions_of(self._events.annotation(event_id, state.annotation_id))
        if state.outcome == "judged":
            return _judged(state, verdicts, regions)
        if event_id is None or regions is None:
            return None
        control, others = self._control(state)
        url = state.image_url or self._image_url(state, event_id, control)
        if not url:
            return None
        to_name = control.to_name if control else None
        visibility = visibility_control_of(self._projects.get(state.project_uid), to_name)
        skeleton = control.skeleton if control else None
        on_image = regions_on(regions, control, others)
        found = _elsewhere(state, url, on_image, self._label, visibility, skeleton)
        return found and replace(found, result=regions)

    def _control(self, state: LoggedState) -> tuple[KeypointControl | None, set[str]]:
        """Return the control on the image of a state, and the names of the task's other images."""
        try:
            control = keypoint_control(self.label_configs.get(state.project_uid, ""))
        except LabelConfigError:
            return None, set()
        own = next(iter(control.of_images[state.image_number or 0 :]), None)
        if state.to_name is not None:
            own = control.on(state.to_name)
        names = {each.to_name for each in control.of_images}
        return own, names - {own.to_name if own else None}

    def _image_url(
        self, state: LoggedState, event_id: int, control: KeypointControl | None
    ) -> str | None:
        """Return the address of an image that was never asked about, from its task's data."""
        if control is None:
            return None
        url = value_at(self._events.task_data(event_id, state.task_id), control.image_path)
        return url if isinstance(url, str) and url else None


def _image(state: LoggedState) -> tuple[str, int, int]:
    return state.project_uid, state.task_id, state.image_number or 0


def _judged(
    state: LoggedState, verdicts: Sequence[LoggedVerdict], regions: Sequence[Json] | None
) -> ExportedAnnotation:
    assert state.width is not None and state.height is not None and state.image_url is not None
    own = [each for each in regions or () if state.to_name in (None, each.get("to_name"))]
    flags = visibilities(own, state.width, state.height)
    boxes = [DrawnBox(each["label"], _box(each)) for each in state.objects or ()]
    choices = [each.final_label for each in verdicts if each.kind == "choice"]
    size = state.width, state.height
    points = _points(verdicts, flags)
    found = _exported(state, state.group, state.image_url, size, boxes, points, regions)
    searched = _box(state.detection_box) if state.detection_box else Box(0, 0, *size)
    return replace(
        found,
        choice=next((each for each in choices if each), None),
        task_box=Shown((), *size, searched).task_box,
    )


def _elsewhere(
    state: LoggedState,
    url: str,
    regions: Sequence[Json],
    label: str | None,
    visibility: VisibilityControl | None,
    skeleton: Skeleton | None,
) -> ExportedAnnotation | None:
    """Return an annotation that was never compared with a suggestion.

    Without suggestions each of its points is an addition, read as everywhere else.
    """
    size = image_size(regions)
    if size is None and state.width is not None and state.height is not None:
        size = state.width, state.height
    if size is None:
        return None
    try:
        shown = Shown((), *size, Box(0, 0, *size), visibility, skeleton)
        judged = judge(shown, regions, made_from_it=False)
    except Unusable:
        return None
    points = _points(judged.verdicts, visibilities(regions, *size))
    points = [each for each in points if label in (None, each.label)]
    boxes = [DrawnBox(each.label, each.box) for each in judged.objects]
    return _exported(state, "elsewhere", url, size, boxes, points, regions)


def _points(
    verdicts: Iterable[LoggedVerdict | Verdict], flags: Mapping[tuple[float, float], int]
) -> list[ExportedPoint]:
    """Return the final points.

    Args:
        flags: of points whose visibility the log does not have; see `visibilities`.
    """
    return [
        ExportedPoint(
            each.final_x,
            each.final_y,
            each.final_label or "",
            each.region_id,
            each.object,
            FLAGS[each.final_visibility]
            if each.final_visibility
            else flags.get((each.final_x, each.final_y), VISIBLE),
        )
        for each in verdicts
        if each.final_x is not None and each.final_y is not None
    ]


def _exported(
    state: LoggedState,
    origin: Origin,
    url: str,
    size: tuple[float, float],
    boxes: Sequence[DrawnBox],
    points: Sequence[ExportedPoint],
    regions: Sequence[Json] | None,
) -> ExportedAnnotation:
    return ExportedAnnotation(
        id=state.id,
        project_uid=state.project_uid,
        task_id=state.task_id,
        annotation_id=state.annotation_id,
        annotator=state.annotator,
        updated_at=state.updated_at,
        lead_time=state.lead_time,
        origin=origin,
        class_name=state.class_name,
        choice=None,
        width=size[0],
        height=size[1],
        task_box=None,
        image_url=url,
        objects=boxes,
        points=points,
        result=regions,
        image_number=state.image_number or 0,
        to_name=state.to_name,
    )


def _box(value: Mapping[str, float]) -> Box:
    return Box(value["left"], value["top"], value["width"], value["height"])
