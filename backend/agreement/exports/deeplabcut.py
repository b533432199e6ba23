"""Export the submitted annotations as DeepLabCut's table of labelled frames (`CollectedData`).

There is one row per image, from the annotation changed last. Where no image has more than one
instance the table is that of a project with one animal; else each instance is an individual,
numbered within its image. `instances` says what an instance is and which slot a point takes.
Coordinates are DeepLabCut's and ours: (0, 0) is the centre of the first pixel. The format knows no
visibility, so that hidden points are points like others.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from backend.agreement.exports.content import ExportContent
from backend.agreement.exports.file_names import file_name, image_stem, image_suffix
from backend.agreement.exports.instances import Instance, Survey, instances_of, slots
from backend.agreement.exports.records import ExportedAnnotation

SCORER = "annotators"


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield one table as CSV."""
    stream = content.annotations(one_per_image=True)
    survey = Survey()
    for _ in survey.watch(stream.tasks()):
        pass  # the header needs all labels and the number of individuals
    labels = slots(stream.configured_labels(), survey.labels)
    individuals = max(survey.most_instances, 1)
    yield _lines(_header(labels, individuals))
    places = {label: place for place, label in enumerate(labels)}
    for portion in stream.portions():
        rows = [
            _row(annotation, instances, places, individuals)
            for task in portion
            for annotation, instances in instances_of(task)
        ]
        yield _lines(rows)


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def _header(labels: Sequence[str], individuals: int) -> list[list[str]]:
    width = 2 * len(labels)
    parts = [label for label in labels for _ in "xy"] * individuals
    rows = [["scorer", *[SCORER] * width * individuals]]
    if individuals > 1:
        names = [f"individual{number}" for number in range(1, individuals + 1)]
        rows.append(["individuals", *[name for name in names for _ in range(width)]])
    return [*rows, ["bodyparts", *parts], ["coords", *["x", "y"] * len(labels) * individuals]]


def _row(
    annotation: ExportedAnnotation,
    instances: Sequence[Instance],
    places: Mapping[str, int],
    individuals: int,
) -> list[object]:
    width = 2 * len(places)
    cells: list[object] = [""] * (width * individuals)
    for number, instance in enumerate(instances):
        for each in instance.points:
            start = number * width + 2 * places[each.label]
            cells[start : start + 2] = [each.x, each.y]
    return [_frame(annotation), *cells]


def _frame(annotation: ExportedAnnotation) -> str:
    """Return the path of an image in a DeepLabCut project: a folder for each task."""
    folder = image_stem(annotation.project_uid, annotation.task_id, annotation.image_number)
    url = annotation.image_url
    stem = "image" if url.startswith("data:") else PurePosixPath(file_name(url)).stem
    return f"labeled-data/{folder}/{stem}{image_suffix(url)}"
