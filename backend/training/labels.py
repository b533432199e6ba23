"""Read one class for each image from the submitted annotations of a project."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.labelstudio.class_controls import (
    ClassControl,
    ClassPath,
    chosen_paths,
    class_controls,
    names_of_paths,
)
from backend.labelstudio.schemas import Task
from model.learning.class_sizes import MIN_IMAGES, UnusableLabels, listed
from model.learning.labelled_images import LeftOut

logger = logging.getLogger(__name__)

EXAMPLE = (
    '<Choices name="class" toName="image"><Choice value="van"/><Choice value="bus"/></Choices>'
)


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A task whose class is known."""

    task_id: int
    image_url: str
    label: str

    @property
    def name(self) -> str:
        """Return the name by which a person finds the task in Label Studio."""
        return task_name(self.task_id)


@dataclass(frozen=True, slots=True)
class ClassLabels:
    """The classes that the annotators of a project chose in one control.

    Attributes:
        control: name of the control.
        tasks: tasks with exactly one class.
        left_out: tasks with several classes or without an image, each with the reason.
    """

    control: str
    tasks: list[LabelledTask]
    left_out: list[LeftOut]

    def counts(self) -> Counter[str]:
        """Count the tasks of each class."""
        return Counter(task.label for task in self.tasks)

    def is_enough(self) -> bool:
        """Return whether at least two classes have enough tasks."""
        return sum(count >= MIN_IMAGES for count in self.counts().values()) > 1


def task_name(task_id: object) -> str:
    """Return how messages name a task."""
    return f"task {task_id}"


def possible_controls(label_config: str, wanted: str | None = None) -> list[ClassControl]:
    """Return the controls whose choices may be the classes to learn.

    Args:
        label_config: the XML of the project's labelling configuration.
        wanted: name of the only control to consider; None for all.

    Raises:
        LabelConfigError: the XML cannot or must not be read.
        UnusableLabels: there is no such control, or none with the wanted name.
    """
    controls = class_controls(label_config)
    if not controls:
        raise UnusableLabels(
            "expected Choices or a Taxonomy about the whole image in the labelling configuration, "
            f"whose choices are the classes to learn, got none: add, inside <View>, {EXAMPLE}"
        )
    possible = [each for each in controls if wanted in (None, each.from_name)]
    if not possible:
        names = ", ".join(each.from_name for each in controls)
        raise UnusableLabels(
            f"expected the name of one of the controls of the class of an image ({names}), got "
            f"{wanted!r}"
        )
    return possible


def class_labels(
    tasks: Sequence[Task], controls: Sequence[ClassControl], *, paths_in_full: bool = False
) -> ClassLabels:
    """Return the labels of the first control that has enough of them.

    Args:
        tasks: with their annotations.
        controls: at least one.
        paths_in_full: see `labels_of`.

    Raises:
        UnusableLabels: no control has enough labels; the message says what is needed.
    """
    found = [labels_of(tasks, control, paths_in_full=paths_in_full) for control in controls]
    for labels in found:
        if labels.is_enough():
            others = ", ".join(repr(each.control) for each in found if each is not labels)
            logger.info(
                "The classes are the choices of %r%s: %s",
                labels.control,
                f" (not of {others})" if others else "",
                _listed(labels.counts()),
            )
            return labels
    raise UnusableLabels(_what_is_needed(found))


def labels_of(
    tasks: Iterable[Task], control: ClassControl, *, paths_in_full: bool = False
) -> ClassLabels:
    """Return what the annotators chose in a control; cancelled annotations do not count.

    Args:
        paths_in_full: whether the class is the whole path to a nested choice. Otherwise it is the
            name of that choice, unless choices in different places have that name.
    """
    labelled: list[LabelledTask] = []
    left_out: list[LeftOut] = []
    chosen_in = [(task, _chosen(task, control.from_name)) for task in tasks]
    paths = {path for _, chosen in chosen_in for each in chosen for path in each}
    names = names_of_paths(paths, in_full=paths_in_full)
    for task, chosen in chosen_in:
        classes = sorted({names[path] for each in chosen for path in each})
        image = task.image_url(control.image_path)
        if not classes:
            continue
        if len(classes) > 1:
            who = "annotators call it" if len(chosen) > 1 else "it is called"
            left_out.append((task_name(task.id), f"{who} {' and '.join(classes)}"))
        elif image is None:
            reason = f"it has no address of an image in {control.image_path!r}"
            left_out.append((task_name(task.id), reason))
        else:
            labelled.append(LabelledTask(task.id, image, classes[0]))
    return ClassLabels(control.from_name, labelled, left_out)


def _chosen(task: Task, from_name: str) -> list[set[ClassPath]]:
    """Return what was chosen in a control, one set for each annotation that has anything."""
    found = []
    for annotation in task.drawings():
        if annotation.was_cancelled:
            continue
        chosen = {
            path
            for region in annotation.result
            if region.get("from_name") == from_name
            for path in chosen_paths(region.get("value"))
        }
        if chosen:
            found.append(chosen)
    return found


def _what_is_needed(found: Sequence[ClassLabels]) -> str:
    got = "; ".join(
        f"{_listed(labels.counts()) or 'nothing'} in {labels.control!r}" for labels in found
    )
    without = "".join(f"\n  left out {name}: {reason}" for name, reason in found[0].left_out[:10])
    return (
        f"expected submitted annotations with at least two different choices, and of two of them "
        f"at least {MIN_IMAGES} images, one to learn and one to check the result; got {got}: "
        f"annotate more images, and submit them{without}"
    )


def _listed(counts: Counter[str]) -> str:
    return listed(f"{count} {name}" for name, count in sorted(counts.items()))
