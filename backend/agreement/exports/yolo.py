"""Export the submitted annotations for Ultralytics' pose models, as a zip archive.

It holds `data.yaml`, one text file of labels for each image under `labels/train` or `labels/val`,
and `images.csv`, which says which image of Label Studio belongs where: images themselves are not
copied. There is one annotation per image, the one changed last. `instances` says what an instance
is and which slot a point takes.

A line of labels is "class x y width height", then "x y v" for each slot, as shares of the image;
`v` is 0 in an empty slot. A point on the image's border may be rounded outside and is moved back,
as Ultralytics drops every file with a share outside 0 to 1.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from backend.agreement.exports.annotations import AnnotationStream
from backend.agreement.exports.content import ExportContent
from backend.agreement.exports.file_names import file_name, image_stem, image_suffix
from backend.agreement.exports.instances import Instance, Survey, instances_of, slots
from backend.agreement.exports.records import ExportedAnnotation
from backend.agreement.exports.sink import Sink
from model.keypoint import centre_to_edge

VALIDATION_SHARE = 0.2
IMAGES_HEADER = ("image", "width", "height", "project_uid", "task_id", "source", "file_name")
SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}


def write(content: ExportContent) -> Iterator[bytes]:
    """Yield one zip archive."""
    stream = content.annotations(one_per_image=True)
    survey = Survey()
    sink = Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED) as archive:
        with archive.open(_entry("images.csv"), "w") as file:
            for line in _image_list(stream, survey):
                file.write(line)
                yield sink.take()
        labels = slots(stream.configured_labels(), survey.labels)
        archive.writestr(_entry("data.yaml"), _data_yaml(labels, survey.left_out))
        places = {label: place for place, label in enumerate(labels)}
        for task in stream.tasks():
            for annotation, instances in instances_of(task):
                lines = "".join(_line(annotation, each, places) for each in instances)
                archive.writestr(_entry(f"labels/{_stem(annotation)}.txt"), lines)
            yield sink.take()
    yield sink.take()


def _entry(name: str) -> ZipInfo:
    """Return a member of the archive without a date, so that equal exports are equal files."""
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _stem(annotation: ExportedAnnotation) -> str:
    """Return the split and the name of an image, without its ending."""
    name = image_stem(annotation.project_uid, annotation.task_id, annotation.image_number)
    return f"{_split(annotation.image_url)}/{name}"


def _split(url: str) -> str:
    """Return "train" or "val", always the same for an image, in whatever task it is."""
    key = url if url.startswith("data:") else file_name(url)
    drawn = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    return "val" if drawn < VALIDATION_SHARE else "train"


def _image_list(stream: AnnotationStream, survey: Survey) -> Iterator[bytes]:
    """Yield the lines of images.csv."""
    yield _csv_line(IMAGES_HEADER)
    for task in survey.watch(stream.tasks()):
        for each in task.annotations:
            image = f"images/{_stem(each)}{image_suffix(each.image_url)}"
            size = (round(each.width), round(each.height))
            known = (each.project_uid, each.task_id, each.origin, file_name(each.image_url))
            yield _csv_line((image, *size, *known))


def _csv_line(cells: Sequence[object]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


def _data_yaml(labels: Sequence[str], left_out: int) -> str:
    """Return the description of the data set; its values are JSON, which YAML includes."""
    return (
        f"# Copy each image to the place that images.csv names, beside this file.\n"
        f"# Annotations without points, size or address in the log, left out: {left_out}\n"
        f"train: images/train\n"
        f"val: images/val\n"
        f"kpt_shape: [{len(labels)}, 3]\n"
        f"flip_idx: {json.dumps(flip_idx(labels))}\n"
        f"names:\n"
        f"  0: object\n"
        f"kpt_names:\n"
        f"  0: {json.dumps(list(labels))}\n"
    )


def flip_idx(labels: Sequence[str]) -> list[int]:
    """Return for each slot the one that it becomes in a mirrored image.

    "left eye" and "right eye" swap places, as do "L_ear" and "R_ear"; all others stay.
    """
    places = {label.casefold(): place for place, label in enumerate(labels)}
    found = []
    for place, label in enumerate(labels):
        other = places.get(_mirrored(label.casefold()), place)
        back = places.get(_mirrored(labels[other].casefold()), other)
        found.append(other if back == place else place)
    return found


def _mirrored(label: str) -> str:
    words = re.split(r"([^\W\d_]+)", label)
    return "".join(SIDES.get(word, word) for word in words)


def _line(annotation: ExportedAnnotation, instance: Instance, places: Mapping[str, int]) -> str:
    width, height, box = annotation.width, annotation.height, instance.box
    numbers = [
        (box.left + box.width / 2) / width,
        (box.top + box.height / 2) / height,
        box.width / width,
        box.height / height,
    ]
    cells = ["0", *map(_share, numbers)]
    points = {places[each.label]: each for each in instance.points}
    for place in range(len(places)):
        point = points.get(place)
        if point is None:
            cells += ["0", "0", "0"]
        else:
            x, y = centre_to_edge(point.x) / width, centre_to_edge(point.y) / height
            cells += [_share(x), _share(y), str(point.visibility)]
    return " ".join(cells) + "\n"


def _share(value: float) -> str:
    return f"{min(max(value, 0.0), 1.0):.6f}"
