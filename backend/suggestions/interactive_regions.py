"""Which points an annotator who places something gets, and as which regions."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot

from backend.labelstudio.label_config import KeypointControl
from backend.labelstudio.project_settings import ProjectSettings, Suggest
from backend.labelstudio.regions import keypoint_regions
from backend.labelstudio.shapes import Json
from backend.suggestions.drawing import SUGGESTED, PlacedPoint, Size, points_of
from backend.suggestions.presentation import Thresholds
from backend.suggestions.shown import is_label_known, landmarks_to_show
from backend.suggestions.situation import Situation, is_on_object
from model.keypoint import Detection, Keypoint, centre_to_edge, edge_to_centre

# A point of the class evidence this near another one, as a share of the image's longer side, is the
# same.
SAME_POINT = 0.02


@dataclass(frozen=True)
class Rules:
    """What decides which points are shown: the settings, and the labelling configuration.

    Attributes:
        costs: seconds of the project's actions, as far as measured; see `learning.records.Step`.
    """

    control: KeypointControl
    settings: ProjectSettings
    suggest: Suggest
    default_label: str | None
    costs: Mapping[str, float]


def suggested_regions(
    detection: Detection, situation: Situation, rules: Rules, answer_id: int
) -> list[Json]:
    """Return the regions that complete the object, and the undecided ones of other objects.

    A landmark that was suggested before, and not decided about, keeps its id, so that it moves.
    Every other id is new.
    """
    undecided = situation.earlier.undecided
    to_name = rules.control.to_name
    here = {
        key: region for key, region in undecided.items() if is_on_object(situation, region, to_name)
    }
    elsewhere = [region for key, region in undecided.items() if key not in here]
    if detection.named:
        points = list(_landmarks(detection, situation, rules))
        names = {each.label: each.region_id for each in _points(here, situation, to_name)}
    else:
        elsewhere, names = list(undecided.values()), {}
        points = list(_evidence(detection, situation, rules))
    placed = [*situation.points, *points_of(elsewhere, to_name, situation.size)]
    allowed = _within_max_usages(points, placed, rules.control)
    size = (int(detection.width), int(detection.height))
    added = {"origin": SUGGESTED}
    if situation.parent is not None:
        added["parentID"] = situation.parent
    found = [*elsewhere]
    for number, point in enumerate(allowed):
        region_id = names.get(point.label) or _new_id(answer_id, number)
        regions = keypoint_regions(point, size, rules.control, region_id, point.label or None)
        found += [{**region, **added} for region in regions]
    return found


def placed_regions(situation: Situation, to_name: str) -> list[Json]:
    """Return what an answer has to repeat; its points on the object get the rectangle as parent.

    Label Studio's editor sets no parent of a point, and without one its YOLO export leaves it out.
    """
    return [
        {"parentID": situation.parent} | region
        if situation.parent and is_on_object(situation, region, to_name)
        else region
        for region in situation.repeated
    ]


def _landmarks(detection: Detection, situation: Situation, rules: Rules) -> Iterator[Keypoint]:
    """Yield the landmarks that are worth showing and that the object lacks, best first.

    One that the annotator has deleted is not suggested again.
    """
    to_name = rules.control.to_name
    deleted = _points(situation.earlier.deleted, situation, to_name)
    taken = {each.label for each in situation.on_object([*situation.points, *deleted])}
    thresholds = Thresholds(rules.settings, rules.control, default=0.0)
    for point in landmarks_to_show(detection.named, rules.suggest, rules.costs):
        label = rules.control.find_label(point.label)
        if label is not None and label not in taken and thresholds.admit(point, label):
            yield replace(point, label=label)


def _evidence(detection: Detection, situation: Situation, rules: Rules) -> Iterator[Keypoint]:
    """Yield the points of the class evidence where nothing is yet; none if they have no label."""
    known = is_label_known(rules.control, detection.class_name, rules.default_label)
    if rules.suggest == "learnt" or (rules.suggest == "worthwhile" and not known):
        return
    earlier = situation.earlier
    there = [
        *situation.points,
        *_points({**earlier.undecided, **earlier.deleted}, situation, rules.control.to_name),
    ]
    label = rules.control.label(detection.class_name, rules.default_label)
    thresholds = Thresholds(rules.settings, rules.control, default=0.0)
    for point in detection.keypoints:
        x, y = _on(situation.size, detection, point)
        near = SAME_POINT * situation.size.length
        is_new = all(hypot(x - each.x, y - each.y) > near for each in there)
        if is_new and situation.here.has(x, y) and thresholds.admit(point, label):
            yield replace(point, label=label or "")


def _points(regions: dict[str, Json], situation: Situation, to_name: str) -> Sequence[PlacedPoint]:
    return points_of(list(regions.values()), to_name, situation.size)


def _on(size: Size, detection: Detection, point: Keypoint) -> tuple[float, float]:
    """Return a place on the image in px of the size that the browser told."""
    return (
        edge_to_centre(centre_to_edge(point.x) / detection.width * size.width),
        edge_to_centre(centre_to_edge(point.y) / detection.height * size.height),
    )


def _within_max_usages(
    points: Sequence[Keypoint], placed: Collection[PlacedPoint], control: KeypointControl
) -> list[Keypoint]:
    """Return the points that Label Studio's editor would allow beside those that are placed."""
    used = Counter(each.label for each in placed)
    limits = dict(control.max_usages)
    found = []
    for point in points:
        used[point.label] += 1
        if point.label not in limits or used[point.label] <= limits[point.label]:
            found.append(point)
    return found


def _new_id(answer_id: int, number: int) -> str:
    """Return an id of 10 characters that no other answer and no prediction has."""
    return hashlib.sha256(f"interactive {answer_id} {number}".encode()).hexdigest()[:10]
