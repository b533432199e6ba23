"""Submitted annotations → one class for each image: all that training learns from a project."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.label_config import ClassControl, class_controls
from model.learning.labelled_images import LeftOut
from model.learning.samples import MIN_IMAGES, UnusableLabels

log = logging.getLogger(__name__)

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
        """As a person finds it in Label Studio."""
        return task_name(self.task_id)


@dataclass(frozen=True, slots=True)
class ClassLabels:
    """What the annotators of a project chose in one control.

    Attributes:
        tasks: that have one class.
        left_out: tasks that have several, or no image.
    """

    control: str
    tasks: list[LabelledTask]
    left_out: list[LeftOut]

    def counts(self) -> Counter[str]:
        """Tasks of each class."""
        return Counter(task.label for task in self.tasks)

    def is_enough(self) -> bool:
        """Whether there are two classes, and enough tasks of each."""
        counts = self.counts()
        return len(counts) > 1 and min(counts.values()) >= MIN_IMAGES


def task_name(task_id: object) -> str:
    """How messages name a task."""
    return f"task {task_id}"


def possible_controls(label_config: str, wanted: str | None = None) -> list[ClassControl]:
    """The controls that may name the classes; the wanted one alone, where one is wanted.

    Raises:
        LabelConfigError: XML that cannot or must not be read.
        UnusableLabels: there is none, or none of that name.
    """
    controls = class_controls(label_config)
    if not controls:
        raise UnusableLabels(
            "expected Choices about the whole image in the labelling configuration, whose choices "
            f"are the classes to learn, got none: add, inside <View>, {EXAMPLE}"
        )
    possible = [each for each in controls if wanted in (None, each.from_name)]
    if not possible:
        names = ", ".join(each.from_name for each in controls)
        raise UnusableLabels(
            f"expected the name of one of the Choices about the whole image ({names}), got "
            f"{wanted!r}"
        )
    return possible


def class_labels(
    tasks: Sequence[Mapping[str, Any]], controls: Sequence[ClassControl]
) -> ClassLabels:
    """The labels of the first control that has enough.

    Args:
        tasks: as Label Studio's API lists them, with their annotations.
        controls: at least one.

    Raises:
        UnusableLabels: none has enough labels; says what is needed.
    """
    found = [labels_of(tasks, control) for control in controls]
    for labels in found:
        if labels.is_enough():
            others = ", ".join(repr(each.control) for each in found if each is not labels)
            log.info(
                "The classes are the choices of %r%s: %s",
                labels.control,
                f" (not of {others})" if others else "",
                _listed(labels.counts()),
            )
            return labels
    raise UnusableLabels(_what_is_needed(found))


def labels_of(tasks: Iterable[Mapping[str, Any]], control: ClassControl) -> ClassLabels:
    """What the annotators chose in a control; cancelled annotations do not count."""
    labelled: list[LabelledTask] = []
    left_out: list[LeftOut] = []
    for task in tasks:
        chosen = _choices(task, control.from_name)
        classes = sorted(set().union(*chosen))
        image = (task.get("data") or {}).get(control.image_field)
        if not classes:
            continue
        if len(classes) > 1:
            who = "annotators call it" if len(chosen) > 1 else "it is called"
            left_out.append((task_name(task["id"]), f"{who} {' and '.join(classes)}"))
        elif not isinstance(image, str):
            reason = f"it has no address of an image in {control.image_field!r}"
            left_out.append((task_name(task["id"]), reason))
        else:
            labelled.append(LabelledTask(task["id"], image, classes[0]))
    return ClassLabels(control.from_name, labelled, left_out)


def _choices(task: Mapping[str, Any], from_name: str) -> list[set[str]]:
    """What each annotation of a task that chose anything in a control chose there."""
    found = []
    for annotation in task.get("annotations") or []:
        if annotation.get("was_cancelled"):
            continue
        chosen = {
            choice
            for region in annotation.get("result") or []
            if region.get("from_name") == from_name
            for choice in (region.get("value") or {}).get("choices") or []
            if isinstance(choice, str)
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
        f"expected submitted annotations with at least two different choices, and of each choice "
        f"at least {MIN_IMAGES} images, one to learn and one to check the result; got {got}: "
        f"annotate more images, and submit them{without}"
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
