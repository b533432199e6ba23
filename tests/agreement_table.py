"""Tables of verdicts made by hand, for tests of figures without a database."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from backend.agreement.annotation_points import AnnotationPoints
from backend.agreement.columns import VerdictColumns, unpack_columns
from backend.agreement.records import Arrivals, ChoiceCount, JudgedAnnotation, VersionDetection
from backend.agreement.sampling import tasks_of_several_annotators
from backend.agreement.table import VerdictTable
from backend.verdicts.judging import Verdict
from backend.verdicts.packing import pack
from backend.verdicts.records import Filters, Group

MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Made:
    """An annotation of an image of 100 × 100 px, and its verdicts.

    Attributes:
        first: verdicts of the annotator's first submission, where that is another state.
        first_known: whether any state is known as the annotator left it.
        edited: whether somebody else changed it.
    """

    task: int
    verdicts: Sequence[Verdict] = ()
    annotator: int | None = 1
    shown: bool = True
    from_scratch: bool = False
    first: Sequence[Verdict] | None = None
    first_known: bool = True
    edited: bool = False
    class_name: str = "wren"
    project: str = "3.1"
    lead_time: float | None = None
    model_version: str = "small-1"
    updated_at: datetime = MOMENT
    choices: Mapping[str, int] = field(default_factory=dict)


def kept(
    at: tuple[float, float],
    label: str = "beak",
    *,
    by: float = 0.0,
    final_label: str | None = None,
    number: int = 0,
    hit: bool = True,
    score: float | None = 0.5,
    **more: float | int,
) -> Verdict:
    """A suggestion that was kept; moved to the right by so many px, or relabelled."""
    final = label if final_label is None else final_label
    names = {(False, False): "accepted", (True, False): "moved", (False, True): "relabelled"}
    return Verdict(
        kind="point",
        verdict=names.get((by > 0, final != label), "moved_and_relabelled"),
        number=number,
        suggested_label=label,
        final_label=final,
        score=score,
        suggested_x=at[0],
        suggested_y=at[1],
        final_x=at[0] + by,
        final_y=at[1],
        displacement=by,
        suggested_hit=hit,
        final_hit=hit,
        **more,  # type: ignore[arg-type]
    )


def deleted(
    at: tuple[float, float], label: str = "beak", *, number: int = 0, score: float | None = 0.5
) -> Verdict:
    """A suggestion that was deleted."""
    return Verdict(
        kind="point",
        verdict="deleted",
        number=number,
        suggested_label=label,
        score=score,
        suggested_x=at[0],
        suggested_y=at[1],
        suggested_hit=False,
    )


def added(at: tuple[float, float], label: str = "beak", *, hit: bool = False) -> Verdict:
    """A point that the annotator drew."""
    return Verdict(
        kind="point",
        verdict="added",
        final_label=label,
        final_x=at[0],
        final_y=at[1],
        final_hit=hit,
    )


def annotations_of(made: Sequence[Made]) -> list[JudgedAnnotation]:
    """The annotations alone, in their newest states; the id of each is its place, from 1.

    Other first submissions have the ids after these, in their order.
    """
    newest = [each for each, _ in _newest(made)]
    later = [each for each, one in zip(newest, made, strict=True) if one.first is not None]
    return newest + [replace(each, id=each.first_id) for each in later if each.first_id]


def _newest(made: Sequence[Made]) -> Iterator[tuple[JudgedAnnotation, Made]]:
    first_id = len(made)
    for place, each in enumerate(made, start=1):
        first_id += each.first is not None
        annotation = _annotation(place, each)
        if each.first is not None:
            annotation = replace(annotation, first_id=first_id)
        yield annotation, each


def _annotation(place: int, each: Made) -> JudgedAnnotation:
    group: Group = "shown" if each.shown else "withheld"
    return JudgedAnnotation(
        id=place,
        newest_id=place,
        first_id=place if each.first_known else None,
        edited_by_other=each.edited,
        project_uid=each.project,
        task_id=each.task,
        annotation_id=place,
        updated_at=each.updated_at,
        annotator=each.annotator,
        lead_time=each.lead_time,
        prediction_id=each.task,
        model_version=each.model_version,
        class_name=each.class_name,
        group="from scratch" if each.from_scratch else group,
        width=100.0,
        height=100.0,
        image_url=f"/{each.task}.png",
    )


def columns_of(*made: Made) -> VerdictColumns:
    """The columns of some annotations."""
    verdicts = [each.verdicts for each in made]
    verdicts += [each.first for each in made if each.first is not None]
    return unpack_columns(annotations_of(made), [pack(_numbered(each)) for each in verdicts])


def _numbered(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of an annotation, whose suggestions are numbered in their order."""
    return [
        each if each.number is None else replace(each, number=place)
        for place, each in enumerate(verdicts)
    ]


def detection(task: int, version: str, *points: tuple[float, float]) -> VersionDetection:
    """What a model version found on a task."""
    return VersionDetection("3.1", task, version, np.array(points).reshape(-1, 2), 100.0)


def table_of(*made: Made, detections: Sequence[VersionDetection] = ()) -> VerdictTable:
    """The table of some annotations; every task of several annotators is compared."""
    columns = columns_of(*made)
    newest = [each for each in columns.annotations if each.is_newest]
    shared = tasks_of_several_annotators(each for each in newest if each.group == "withheld")
    columns_of_shown = [each for each in newest if each.group == "shown"]
    return VerdictTable(
        filters=Filters(),
        columns=columns,
        choices=[
            ChoiceCount(place, verdict, count)
            for place, each in enumerate(made, start=1)
            for verdict, count in each.choices.items()
        ],
        follow_ups=(),
        elsewhere=0,
        skipped=0,
        unused=(),
        arrivals=Arrivals(len(made), 0, 0),
        tasks_of_several_annotators=len(shared),
        tasks_shown_to_several=len(tasks_of_several_annotators(columns_of_shown)),
        compared_tasks=shared,
        detections=detections,
        points=AnnotationPoints(columns, [each.id for each in columns.annotations]),
    )
