"""Annotators compared with one another, and with the detector on the same tasks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from backend.agreement.clustered import Estimate, ratio
from backend.agreement.parameters import AgreementParameters
from backend.agreement.points import final_points, paired_f1, suggested_points
from backend.agreement.records import JudgedAnnotation
from backend.agreement.table import VerdictTable
from backend.verdicts.judging import Verdict

LabelCounts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PeerAgreement:
    """How far two parties agree.

    Attributes:
        f1: of their points, paired one to one; mean over tasks.
        label_alpha: Krippendorff's α of labels; None where it is not defined.
    """

    f1: Estimate
    label_alpha: float | None


@dataclass(frozen=True, slots=True)
class People:
    """Agreement on tasks that several people annotated.

    Attributes:
        tasks: number of these.
        tasks_compared: number of those of them that were drawn for the comparison.
    """

    tasks: int
    tasks_compared: int
    human_human: PeerAgreement
    detector_human: PeerAgreement


def people(table: VerdictTable, parameters: AgreementParameters) -> People:
    """Compare annotators with one another, and with the detector on the same tasks.

    Points are paired anew within `near`, whatever their ids. Labels are compared over the
    suggestions that an annotator kept.
    """
    compared = table.compared_tasks
    among = [_f1_among(task, table.verdicts, parameters.near) for task in compared]
    with_detector = [_f1_with_detector(task, table.verdicts, parameters.near) for task in compared]
    image = _images(table)
    human, detector = _label_alphas(compared, table.verdicts)
    return People(
        tasks=table.tasks_of_several_annotators,
        tasks_compared=len(compared),
        human_human=PeerAgreement(_mean_over_images(among, image, parameters), human),
        detector_human=PeerAgreement(_mean_over_images(with_detector, image, parameters), detector),
    )


def _f1_among(
    task: Sequence[JudgedAnnotation], verdicts: Mapping[int, Sequence[Verdict]], near: float
) -> float:
    """Average the F1 of every two annotators of a task."""
    radius = near * task[0].longer_side
    final = [final_points(verdicts.get(each.id, ())) for each in task]
    return float(np.mean([paired_f1(a, b, radius) for a, b in combinations(final, 2)]))


def _f1_with_detector(
    task: Sequence[JudgedAnnotation], verdicts: Mapping[int, Sequence[Verdict]], near: float
) -> float:
    """Average the F1 of the suggestions with each annotator of a task."""
    radius = near * task[0].longer_side
    found = [verdicts.get(each.id, ()) for each in task]
    pairs = [(suggested_points(each), final_points(each)) for each in found]
    return float(np.mean([paired_f1(a, b, radius) for a, b in pairs]))


def _images(table: VerdictTable) -> list[int]:
    """Return the image of each compared task, as the shown annotations number them."""
    shown = table.shown
    image = {
        each.id: int(number) for each, number in zip(shown.annotations, shown.image, strict=True)
    }
    return [image[task[0].id] for task in table.compared_tasks]


def _mean_over_images(
    values: Sequence[float], image: Sequence[int], parameters: AgreementParameters
) -> Estimate:
    images = np.array(image, np.int64)
    sums = np.bincount(images, np.array(values, np.float64))
    return ratio(sums, np.bincount(images), scale="share", limits=parameters.limits)


def _label_alphas(
    tasks: Iterable[Sequence[JudgedAnnotation]], verdicts: Mapping[int, Sequence[Verdict]]
) -> tuple[float | None, float | None]:
    """Compute α of final labels among people, and of each of them with the detector."""
    among: list[LabelCounts] = []
    with_detector: list[LabelCounts] = []
    for task in tasks:
        kept: dict[tuple[int, int], list[Verdict]] = {}
        for annotation in task:
            for each in verdicts.get(annotation.id, ()):
                if each.number is not None and each.final_label is not None:
                    kept.setdefault((annotation.prediction_id, each.number), []).append(each)
        for of_suggestion in kept.values():
            among.append(_counted(each.final_label for each in of_suggestion))
            with_detector += [
                _counted((each.suggested_label, each.final_label)) for each in of_suggestion
            ]
    return nominal_alpha(among), nominal_alpha(with_detector)


def _counted(labels: Iterable[str | None]) -> LabelCounts:
    counts: dict[str, int] = {}
    for label in labels:
        if label is not None:
            counts[label] = counts.get(label, 0) + 1
    return counts


def nominal_alpha(units: Sequence[LabelCounts]) -> float | None:
    """Compute Krippendorff's α of nominal labels.

    Args:
        units: for each thing that was labelled, how many gave it each label.

    Returns:
        None where fewer than two labels occur, or nothing was labelled twice.

    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.

    >>> nominal_alpha([{"beak": 2}, {"tail": 2}])
    1.0
    """
    import krippendorff

    labelled_twice = [unit for unit in units if sum(unit.values()) > 1]
    labels = sorted({label for unit in labelled_twice for label in unit})
    if len(labels) < 2:
        return None
    counts = np.array([[unit.get(label, 0) for label in labels] for unit in labelled_twice])
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))
