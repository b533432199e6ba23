"""Which labels of CVAT receive keypoints, and the labelling configuration that says the same.

CVAT has two kinds of them: a label of type `points` (or `any`), of which each shape is a keypoint,
and the labels within a skeleton, of which one shape has one each.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from backend.hosts.cvat_client import CvatError
from backend.hosts.cvat_schemas import Label
from backend.labelstudio.label_config import KeypointControl, keypoint_control

POINT_TYPES = ("points", "any")
CONTROL, IMAGE = "keypoints", "image"


@dataclass(frozen=True, slots=True)
class PointLabel:
    """A label of keypoints.

    Attributes:
        name: in our configuration: as in CVAT, or SKELETON/NAME where two are called alike.
        label_id: in CVAT.
        skeleton_id: id of the label of the skeleton that it is a part of; None for none.
    """

    name: str
    label_id: int
    skeleton_id: int | None = None


@dataclass(frozen=True, slots=True)
class PointLabels:
    """The labels of keypoints of a task, in the order of CVAT."""

    labels: tuple[PointLabel, ...]

    def named(self, name: str) -> PointLabel | None:
        """Return the label of that name; None if there is none."""
        return next((each for each in self.labels if each.name == name), None)

    def with_id(self, label_id: int) -> PointLabel | None:
        """Return the label with that id in CVAT; None if it is none of keypoints."""
        return next((each for each in self.labels if each.label_id == label_id), None)

    def of_skeleton(self, skeleton_id: int) -> tuple[PointLabel, ...]:
        """Return the labels within a skeleton; none if it is no skeleton."""
        return tuple(each for each in self.labels if each.skeleton_id == skeleton_id)

    @property
    def shape_label_ids(self) -> frozenset[int]:
        """The labels of whole shapes: those of skeletons, and those of single keypoints."""
        return frozenset(
            each.label_id if each.skeleton_id is None else each.skeleton_id for each in self.labels
        )

    def config(self) -> str:
        """Return the labelling configuration of Label Studio with the same labels."""
        view = Element("View")
        SubElement(view, "Image", name=IMAGE, value=f"${IMAGE}")
        control = SubElement(view, "KeyPointLabels", name=CONTROL, toName=IMAGE)
        for each in self.labels:
            if each.skeleton_id is None:
                SubElement(control, "Label", value=each.name)
            else:  # a skeleton has each of its points once
                SubElement(control, "Label", value=each.name, maxUsages="1")
        return tostring(view, encoding="unicode")

    def control(self) -> KeypointControl:
        """Return the control that receives the keypoints in this configuration."""
        return keypoint_control(self.config())


def point_labels(labels: Sequence[Label], chosen: Sequence[str] = ()) -> PointLabels:
    """Return the labels of a task that receive keypoints.

    Args:
        chosen: names to use, of labels of keypoints, of skeletons, or within these; empty for all.
            A skeleton is used as a whole.

    Raises:
        CvatError: there is none, or a chosen one does not exist.
    """
    found = list(_all(labels))
    if not found:
        listed = ", ".join(f"{each.name} ({each.type})" for each in labels) or "no label at all"
        raise CvatError(
            f"expected a label of type points or skeleton in CVAT, got {listed}: add one to the "
            "task or to its project"
        )
    if not chosen:
        return PointLabels(tuple(found))
    skeletons = {each.id: each.name for each in labels if each.type == "skeleton"}
    known = [*(each.name for each in found), *skeletons.values()]
    missing = [name for name in chosen if name not in known]
    if missing:
        raise CvatError(
            f"expected labels of keypoints that the task has, got {', '.join(missing)}: it has "
            f"{', '.join(known)}"
        )
    whole = {key for key, name in skeletons.items() if name in chosen}
    whole |= {each.skeleton_id for each in found if each.skeleton_id and each.name in chosen}
    kept = [each for each in found if each.name in chosen or each.skeleton_id in whole]
    return PointLabels(tuple(kept))


def declared_labels(names: Iterable[str], skeleton: str | None) -> list[Label]:
    """Return labels that a person names, with ids of their own, from 1.

    Args:
        skeleton: what the skeleton is called that they are parts of; None for single keypoints.
    """
    listed = [name.strip() for name in names if name.strip()]
    twice = [name for name, count in Counter(listed).items() if count > 1]
    if not listed or twice:
        got = f"{twice[0]} twice" if twice else "none"
        raise CvatError(f"expected the names of labels such as beak,tail, each once, got {got}")
    parts = [{"id": number, "name": name} for number, name in enumerate(listed, start=1)]
    if skeleton is None:
        return [Label.model_validate({**part, "type": "points"}) for part in parts]
    whole = {"id": len(parts) + 1, "name": skeleton, "type": "skeleton", "sublabels": parts}
    return [Label.model_validate(whole)]


def _all(labels: Sequence[Label]) -> Iterator[PointLabel]:
    usable = [each for each in labels if each.type in (*POINT_TYPES, "skeleton")]
    counts = Counter(
        part.name
        for each in usable
        for part in (each.sublabels if each.type == "skeleton" else [each])
    )
    for each in usable:
        if each.type != "skeleton":
            yield PointLabel(each.name, each.id)
            continue
        for part in each.sublabels:
            name = part.name if counts[part.name] == 1 else f"{each.name}/{part.name}"
            yield PointLabel(name, part.id, each.id)
