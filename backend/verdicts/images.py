"""Take an annotation of a task with several images apart: it is judged image by image."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import Project
from backend.labelstudio.schemas import Task
from backend.labelstudio.visibility import visibility_control_of
from backend.suggestions.several_images import without_box
from backend.verdicts.digests import sha256_of_json
from backend.verdicts.drawings import drawing_of
from backend.verdicts.drawn import require_image, unused_elsewhere
from backend.verdicts.records import State


def on_image(state: State, number: int | None) -> State:
    """Return the state of the same annotation on one of several images; None for the only one.

    Each has a digest of its own, which follows from that of the annotation.
    """
    digest = sha256_of_json([state.digest, number]) if number else state.digest
    return replace(state, image_number=number, digest=digest)


def regions_on_each(
    result: Sequence[object], to_names: Sequence[str | None]
) -> tuple[list[list[object]], list[str]]:
    """Return the regions on each image, and for each on none of them why it is unused.

    What is no region on an image, such as a relation, is among those on the first.

    Args:
        result: raw JSON.
        to_names: of the images; [None] for a task with one image, which gets all regions.

    Raises:
        Unusable: every point is on another image, or names none.
    """
    if list(to_names) == [None]:
        return [list(result)], []
    require_image([each for each in result if isinstance(each, Mapping)], to_names)
    parts: dict[object, list[object]] = {name: [] for name in to_names}
    unused = []
    for region in result:
        if not isinstance(region, Mapping) or region.get("type") == "relation":
            parts[to_names[0]].append(region)
        elif region.get("to_name") in to_names:
            parts[region["to_name"]].append(region)
        else:
            unused.append(unused_elsewhere(region))
    return list(parts.values()), unused


def with_drawings(state: State, result: Sequence[object], task: Task, project: Project) -> State:
    """Return a state that is compared with nothing, with what can be learnt from it all the same.

    Args:
        result: regions of the annotation, raw JSON.

    Raises:
        LabelConfigError: the project's configuration cannot be used.
    """
    found = [each for each in _drawn(state, result, task, project) if each.drawing is not None]
    return replace(found[0], further=found[1:]) if found else state


def _drawn(state: State, result: Sequence[object], task: Task, project: Project) -> Iterator[State]:
    control = keypoint_control(project.label_config or "")
    for number, own in enumerate(control.of_images):
        about = without_box(task) if number else task
        visibility = visibility_control_of(project, own.to_name)
        placed = on_image(state, number if control.further else None)
        yield replace(placed, drawing=drawing_of(result, about, own, visibility))
