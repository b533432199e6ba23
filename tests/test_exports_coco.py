import json
import random
from typing import Any

import numpy as np
import pytest
from exporting import exported, loaded
from pycocotools.cocoeval import COCOeval
from verdict_data import (
    CONFIG,
    CONFIG_WITH_VISIBILITY,
    MADE,
    UID,
    added,
    annotation,
    detection,
    event,
    moved,
    predict,
    relabelled,
    said,
)

from backend.agreement.exports.content import ExportOptions
from backend.agreement.exports.formats import export
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.holdout import HoldoutStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters
from backend.verdicts.storage import EventStorage
from model.keypoint import Box


def rectangle(name: str, at: float, side: float = 30) -> dict[str, Any]:
    """A rectangle of an annotator; numbers in percent."""
    return {
        "id": name,
        "from_name": "box",
        "to_name": "image",
        "type": "rectanglelabels",
        "value": {"x": at, "y": at, "width": side, "height": 20, "rectanglelabels": [name]},
    }


def points_of(instance: dict[str, Any], names: list[str]) -> dict[str, tuple[float, ...]]:
    """Name → (x, y, v) of the slots that are filled."""
    points = zip(*(instance["keypoints"][at::3] for at in range(3)), strict=True)
    return {name: point for name, point in zip(names, points, strict=True) if point[2]}


def read(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content)
    return found


def test_coco_keypoints_load_in_pycocotools_and_round_trip(any_database, tmp_path):
    generator = random.Random(0)
    where = [(generator.uniform(1, 98), generator.uniform(1, 98)) for _ in range(4)]
    regions = predict(any_database, 1, detection(*where))
    left = [regions[0], relabelled(regions[1], "nose"), relabelled(regions[2], "tail"), regions[4]]
    left[2] = moved(left[2], 0.1)
    event(any_database, annotation(1, left))
    coco = loaded(exported(any_database, "coco"), tmp_path)
    [category] = coco.loadCats(coco.getCatIds())
    assert category["keypoints"] == ["car", "nose", "tail"]
    [found] = coco.loadAnns(coco.getAnnIds())
    points = found["keypoints"]
    expected = [where[0], where[1], (where[2][0] + 0.1, where[2][1])]
    assert points[2::3] == [2, 2, 2]
    for (x, y), slot in zip(expected, range(3), strict=True):
        # COCO has the corner of the first pixel at 0, we its centre.
        assert points[3 * slot : 3 * slot + 2] == pytest.approx([x + 0.5, y + 0.5], abs=1e-9)
    assert (found["num_keypoints"], found["iscrowd"]) == (3, 0)
    [image] = coco.loadImgs(coco.getImgIds())
    assert (image["width"], image["height"], image["file_name"]) == (100, 100, "data/upload/1.png")
    assert image["source"] == "shown"
    assert image["date_captured"].endswith(".000000+00:00")


def test_each_rectangle_is_an_instance_with_its_area(any_database, tmp_path):
    regions = predict(any_database, 1, detection((10, 10), (70, 70), (95, 5)))
    event(any_database, annotation(1, [*regions, rectangle("left", 0), rectangle("right", 60)]))
    coco = loaded(exported(any_database, "coco"), tmp_path)
    found = coco.loadAnns(coco.getAnnIds())
    assert [(each["label"], each["num_keypoints"]) for each in found] == [
        ("left", 1),
        ("right", 1),
        (None, 1),
    ]
    assert [each["area"] for each in found] == pytest.approx([600, 600, 10_000])
    assert [each["area_of"] for each in found] == ["rectangle", "rectangle", "image"]


def test_slots_are_the_labels_of_the_configuration_and_then_the_others(any_database):
    for task, label in ((1, "zebra"), (2, "ant")):
        regions = predict(any_database, task, detection((10, 10)))
        event(any_database, annotation(task, [relabelled(regions[0], label)]))
    [category] = read(exported(any_database, "coco"))["categories"]
    assert category["keypoints"] == ["car", "nose", "tail", "ant", "zebra"]
    assert len(category["keypoint_sigmas"]) == 5


def test_equal_points_of_two_annotators_stay_equal_when_one_deletes_the_first(
    any_database, tmp_path
):
    """Their similarity as pycocotools computes it."""
    where = [(10 + 15 * place, 20 + 10 * place) for place in range(5)]
    regions = predict(any_database, 1, detection(*where))
    event(any_database, annotation(1, regions, number=1, annotator=1))
    event(any_database, annotation(1, regions[1:], number=2, annotator=2))
    coco = loaded(exported(any_database, "coco"), tmp_path)
    first, second = (coco.loadAnns(coco.getAnnIds(imgIds=[each])) for each in coco.getImgIds())
    assert (len(first), len(second)) == (5, 4)
    similarity = similarities(first, second, coco)
    assert np.diag(similarity[:, 1:]) == pytest.approx([1, 1, 1, 1])
    assert similarity.max(axis=0)[0] < 0.5  # nobody else has the deleted one


def similarities(truth: list[Any], found: list[Any], coco: Any) -> Any:
    """pycocotools' object keypoint similarity of each instance in `found` (rows) and `truth`."""
    evaluation = COCOeval(iouType="keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(coco.dataset["categories"][0]["keypoint_sigmas"])
    evaluation._gts[1, 1] = [{**each, "ignore": 0} for each in truth]
    evaluation._dts[1, 1] = [{**each, "score": -place} for place, each in enumerate(found)]
    return evaluation.computeOks(1, 1)


def test_a_label_that_one_annotator_uses_twice_is_apart_for_all_annotators_of_the_image(
    any_database,
):
    regions = predict(any_database, 1, detection((10, 10), (30, 30), (50, 50)))
    named = [regions[0], regions[1], relabelled(regions[2], "nose")]
    event(any_database, annotation(1, named, number=1, annotator=1))
    event(any_database, annotation(1, named[1:], number=2, annotator=2))
    other = predict(any_database, 2, detection((10, 10), (50, 50)))
    event(any_database, annotation(2, [other[0], relabelled(other[1], "nose")], number=3))
    file = read(exported(any_database, "coco"))
    names = file["categories"][0]["keypoints"]
    of_image: dict[int, list[list[str]]] = {}
    for each in file["annotations"]:
        of_image.setdefault(each["image_id"], []).append(list(points_of(each, names)))
    assert list(of_image.values()) == [
        [["nose"], ["car"], ["car"]],
        [["nose"], ["car"]],
        [["car", "nose"]],
    ]


def test_no_instance_has_an_area_of_zero(any_database):
    """A single point has no extent: its box is the task's, else the image's."""
    regions = predict(any_database, 1, detection((10, 10)))
    event(any_database, annotation(1, regions))
    small = detection((30, 30), box=Box(20, 20, 40, 30))
    event(any_database, annotation(2, predict(any_database, 2, small)))
    found = read(exported(any_database, "coco"))["annotations"]
    assert [(each["area"], each["area_of"]) for each in found] == [
        (10_000, "image"),
        (1200, "task"),
    ]
    assert found[1]["bbox"] == [20, 20, 40, 30]


def test_a_hidden_point_is_labelled_but_not_visible(any_database):
    """By the region's flag, or by a choice about the point, which counts more."""
    ProjectStorage(any_database).save_label_config(UID, CONFIG)
    regions = predict(any_database, 1, detection((10, 10), (30, 30), (50, 50), (70, 70)))
    labels = ["car", "nose", "tail", "wheel"]
    points = [relabelled(each, label) for each, label in zip(regions, labels, strict=False)]
    points[0]["hidden"] = True
    points[3]["hidden"] = True
    choices = [
        {
            "id": points[place]["id"],
            "from_name": "visibility",
            "to_name": "image",
            "type": "choices",
            "value": {**points[place]["value"], "choices": [choice]},
        }
        for place, choice in ((1, "Occluded"), (3, "visible"))
    ]
    event(any_database, annotation(1, [*points, *choices]))
    file = read(exported(any_database, "coco"))
    [found] = file["annotations"]
    flags = dict(zip(file["categories"][0]["keypoints"], found["keypoints"][2::3], strict=True))
    assert flags == {"car": 1, "nose": 1, "tail": 2, "wheel": 2}
    assert found["num_keypoints"] == 4


def test_the_log_keeps_what_was_chosen_about_a_point_that_only_a_pull_brought(any_database):
    regions = predict(any_database, 1, detection((10, 10), (30, 30)))
    ProjectStorage(any_database).save_label_config(UID, CONFIG_WITH_VISIBILITY)
    first, second = relabelled(regions[0], "nose"), relabelled(regions[1], "tail")
    result = [first, second, said(second, "occluded")]
    recorder = Recorder(Settings(), any_database)
    state = recorder.state_of(UID, annotation(1, result), "sync")
    recorder.verdicts.record([Entry(None, [state])], MADE)
    file = read(exported(any_database, "coco"))
    [found] = file["annotations"]
    flags = dict(zip(file["categories"][0]["keypoints"], found["keypoints"][2::3], strict=True))
    assert flags == {"car": 0, "nose": 2, "tail": 1}


def test_choices_that_a_project_explains_hold_for_annotations_that_were_never_compared(
    any_database,
):
    text = CONFIG_WITH_VISIBILITY.replace('"occluded"', '"verdeckt"')
    ProjectStorage(any_database).save_label_config(UID, text)
    settings = ProjectSettings(visibility={"verdeckt": "occluded"})
    ProjectStorage(any_database).save_settings(UID, settings)
    point = added(20, 30, "nose")
    body = annotation(1, [point, said(point, "verdeckt")])
    task = {"id": 1, "data": {"image": "/data/upload/1.png"}}
    stored = {"action": "ANNOTATION_CREATED", "annotation": body, "task": task}
    project = {"id": 3, "created_at": MADE.isoformat()}
    EventStorage(any_database).save_event("ANNOTATION_CREATED", 3, {**stored, "project": project})
    [found] = read(exported(any_database, "coco"))["annotations"]
    assert found["keypoints"][5] == 1


def test_an_annotation_that_was_never_compared_is_there_with_its_source(any_database):
    """Its points, its image's size and address are in the event that brought it."""
    ProjectStorage(any_database).save_label_config(UID, CONFIG)
    body = annotation(9, [added(20, 30), rectangle("thing", 10), added(90, 90, region_id="b")])
    EventStorage(any_database).save_event(
        "ANNOTATION_CREATED",
        3,
        {
            "action": "ANNOTATION_CREATED",
            "annotation": body,
            "task": {"id": 9, "data": {"image": "/data/local-files/?d=set/a%20b.jpg"}},
            "project": {"id": 3, "created_at": "2026-11-22T12:00:00Z"},
        },
    )
    event(any_database, annotation(10, [added(1, 1)]))  # without the address of its image
    file = read(exported(any_database, "coco"))
    [image] = file["images"]
    assert (image["file_name"], image["source"], image["width"]) == (
        "set/a b.jpg",
        "elsewhere",
        100,
    )
    names = file["categories"][0]["keypoints"]
    inside, outside = file["annotations"]
    assert points_of(inside, names) == {"car": (pytest.approx(20), pytest.approx(30), 2)}
    assert (inside["label"], inside["source"]) == ("thing", "elsewhere")
    assert points_of(outside, names) == {"car": (pytest.approx(90), pytest.approx(90), 2)}
    assert file["info"]["left_out"] == 1


def test_withheld_suggestions_are_a_source_of_their_own(any_database):
    predict(any_database, 1, detection((10, 10)), deliver=False)
    HoldoutStorage(any_database).withhold(UID, [1], MADE)
    event(any_database, annotation(1, [added(20, 30)], parent=None))
    [image] = read(exported(any_database, "coco"))["images"]
    assert image["source"] == "withheld"


def test_an_annotation_drawn_from_scratch_is_a_source_of_its_own(any_database):
    regions = predict(any_database, 1, detection((10, 10)))
    event(any_database, annotation(1, [added(20, 30)], number=1, parent=None))
    event(any_database, annotation(1, regions, number=2, parent=None))
    images = read(exported(any_database, "coco"))["images"]
    assert [each["source"] for each in images] == ["from scratch", "shown"]


def test_one_per_image_is_the_annotation_changed_last_or_that_of_one_annotator(any_database):
    regions = predict(any_database, 1, detection((10, 10)))
    for number, minutes in ((1, 1), (2, 3), (3, 2)):
        body = annotation(1, regions, number=number, annotator=number, minutes=minutes)
        event(any_database, body)
    one = ExportOptions(one_per_image=True)

    def annotators(**more: Any) -> list[int]:
        images = read(exported(any_database, "coco", **more))["images"]
        return [each["annotator"] for each in images]

    assert annotators() == [1, 2, 3]
    assert annotators(options=one) == [2]
    assert annotators(options=one, filters=Filters(annotator=3)) == [3]


def test_one_event_may_bring_many_annotations(any_database):
    """Label Studio sends them in a list, beside their tasks."""
    ProjectStorage(any_database).save_label_config(UID, CONFIG)
    tasks = range(1, 4)
    EventStorage(any_database).save_event(
        "ANNOTATIONS_CREATED",
        3,
        {
            "action": "ANNOTATIONS_CREATED",
            "annotation": [annotation(task, [added(10 * task, 50)]) for task in tasks],
            "task": [{"id": task, "data": {"image": f"/{task}.jpg"}} for task in tasks],
            "project": {"id": 3, "created_at": "2026-11-22T12:00:00Z"},
        },
    )
    file = read(exported(any_database, "coco"))
    assert [each["file_name"] for each in file["images"]] == ["1.jpg", "2.jpg", "3.jpg"]
    assert [each["keypoints"][0] for each in file["annotations"]] == pytest.approx([10, 20, 30])


def test_an_annotation_that_only_a_pull_brought_counts_as_left_out(database):
    """The log has its state, and neither its points nor an event with them."""
    ProjectStorage(database).save_label_config(UID, CONFIG)
    recorder = Recorder(Settings(), database)
    state = recorder.state_of(UID, annotation(1, [added(20, 30)]), "sync")
    recorder.verdicts.record([Entry(None, [state])], MADE)
    file = read(exported(database, "coco"))
    assert (file["images"], file["annotations"]) == ([], [])
    assert file["info"]["left_out"] == 1
    assert "no event" in file["info"]["left_out_because"]


def test_two_passes_hold_the_same_annotations_whatever_arrives_in_between(database):
    """Images come in a first pass, instances in a second."""
    regions = predict(database, 1, detection((10, 10)))
    event(database, annotation(1, regions))
    Recorder(Settings(), database).drain()
    pieces = export(database, "coco", None, Filters(), dict).pieces
    begun = next(pieces) + next(pieces)
    event(database, annotation(1, regions, minutes=5))
    event(database, annotation(1, regions, number=2))
    Recorder(Settings(), database).drain()
    file = read(begun + b"".join(pieces))
    [image], [instance] = file["images"], file["annotations"]
    assert instance["image_id"] == image["id"]
