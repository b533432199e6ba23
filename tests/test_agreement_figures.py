import math
import random
from collections.abc import Iterator
from datetime import datetime
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from verdict_data import (
    PROJECT,
    UID,
    added,
    annotation,
    deletion,
    detection,
    event,
    moved,
    predict,
    relabelled,
)

from backend.agreement.figures import measure_agreement
from backend.database.connection import Database, now
from backend.settings import Settings
from backend.suggestions.holdout import HoldoutStorage
from backend.verdicts.judging import SIGMA
from backend.verdicts.recording import NOT_DELIVERED, SECOND, UNKNOWN_TASK, Recorder
from backend.verdicts.records import Filters
from backend.verdicts.storage import EventStorage
from model.keypoint import Box


@pytest.fixture
def database(any_database: Database) -> Database:
    """Both databases have to understand the queries and give the same figures."""
    return any_database


@pytest.fixture
def recorder(database: Database) -> Recorder:
    return Recorder(Settings(suggest="always"), database)


def figures(recorder: Recorder, filters: Filters = Filters()):  # noqa: B008
    recorder.drain()
    return measure_agreement(recorder.database, filters).as_json()


def counts(found) -> list[int]:
    names = ("suggested", "accepted", "moved", "relabelled", "moved_and_relabelled")
    return [found["overall"]["points"][name] for name in (*names, "deleted", "added")]


def values(estimates) -> list[float]:
    return [each["value"] for each in estimates]


@pytest.fixture
def two_tasks(database: Database, recorder: Recorder):
    """Task 1: accepted, moved by 5 px, deleted; task 2: relabelled, moved by 20 px, one added."""
    first = predict(database, 1, detection((10, 10), (30, 30), (50, 50)))
    event(database, annotation(1, [first[0], moved(first[1], 3, 4), first[3]], lead_time=10))
    second = predict(database, 2, detection((20, 20), (60, 60), class_name="bus"))
    result = [relabelled(second[0], "nose"), moved(second[1], 20), added(5, 90, "tail"), second[2]]
    event(database, annotation(2, result, annotator=2, lead_time=20))
    return recorder


def test_every_figure_of_two_tasks_is_what_it_is_by_hand(two_tasks):
    found = figures(two_tasks)
    assert counts(found) == [5, 1, 2, 1, 0, 1, 1]
    overall = found["overall"]
    assert overall["acceptance"]["untouched"]["value"] == 1 / 5
    assert overall["acceptance"]["within_share"]["value"] == 1 / 5  # nothing moved within 2 px
    assert overall["acceptance"]["within_px"]["value"] == 2 / 5  # one was moved by 5 px
    # Within 5 px: accepted, moved by 5, relabelled. Of five suggestions, and of five final points.
    assert overall["precision"]["value"] == 3 / 5
    assert overall["recall"]["value"] == 3 / 5
    assert overall["f1"]["value"] == 6 / 10
    assert values(overall["pck"]["image"]) == [2 / 5, 2 / 5, 3 / 5, 3 / 5]
    assert values(overall["pck"]["object"]) == [None] * 4
    assert overall["normalised_error"]["image"]["value"] == pytest.approx(0.25 / 4)
    assert overall["displacement_px"]["median"]["value"] == pytest.approx(12.5)
    assert overall["displacement_px"]["p90"]["value"] == pytest.approx(18.5)
    assert overall["oks"]["value"] is None  # no object's size is known
    assert overall["lead_time"]["median"]["value"] == 15
    assert overall["lead_time"]["geometric_mean"]["value"] == pytest.approx(200**0.5)
    assert (overall["annotations"], overall["tasks"], overall["annotators"]) == (2, 2, 2)
    assert overall["choices"] == {
        "suggested": 2,
        "accepted": 2,
        "relabelled": 0,
        "deleted": 0,
        "added": 0,
    }


def test_groups_are_those_of_annotations_and_labels(two_tasks):
    by = figures(two_tasks)["by"]
    assert [(each["name"], each["points"]["suggested"]) for each in by["annotator"]] == [
        ("1", 3),
        ("2", 2),
    ]
    assert [each["name"] for each in by["class"]] == ["bus", "car"]
    assert [each["name"] for each in by["project"]] == [UID]
    labels = {each["name"]: each for each in by["label"]}
    assert labels["car"]["points"]["suggested"] == 5
    nose = labels["nose"]  # a suggestion lay there, as a car
    assert nose["found_at_place"]["value"] == 1.0
    for name in ("precision", "recall", "f1"):
        assert (nose[name]["value"], nose[name]["reason"]) == (None, "never suggested")
    assert labels["tail"]["points"] == dict.fromkeys(labels["tail"]["points"], 0) | {"added": 1}


def test_labels_suggested_and_left_are_counted_together(two_tasks):
    cells = {
        (each["suggested"], each["final"]): each["count"] for each in figures(two_tasks)["labels"]
    }
    assert cells == {
        ("car", "car"): 3,
        ("car", "nose"): 1,
        ("car", None): 1,
        (None, "tail"): 1,
    }


@pytest.mark.parametrize(
    ("filters", "suggested", "added_"),
    [
        (Filters(annotator=2), 2, 1),
        (Filters(annotator=9), 0, 0),
        (Filters(project="3"), 5, 1),
        (Filters(project=UID), 5, 1),
        (Filters(project="31"), 0, 0),
        (Filters(label="car"), 5, 0),
        (Filters(label="tail"), 0, 1),
        (Filters(label="nobody's"), 0, 0),
        (Filters(model_version="other"), 0, 0),
        (Filters(until=now()), 0, 0),
        (Filters(since=now()), 5, 1),
    ],
)
def test_filters_choose_annotations_and_labels(two_tasks, filters, suggested, added_):
    found = counts(figures(two_tasks, filters))
    assert (found[0], found[-1]) == (suggested, added_)


def test_an_update_supersedes_and_a_deletion_retracts_whatever_order_they_come_in(
    database, recorder
):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    later = annotation(1, [regions[0]], minutes=5)
    event(database, later, "ANNOTATION_UPDATED")
    event(database, annotation(1, regions))
    for _ in range(2):
        found = figures(recorder)
        # Both suggestions were accepted at first; one final point is left.
        assert counts(found) == [2, 2, 0, 0, 0, 0, 0]
        assert (found["overall"]["precision"]["n"], found["overall"]["recall"]["n"]) == (2, 1)
        assert found["overall"]["annotations"] == 1
        event(database, later, "ANNOTATION_UPDATED")


def saved(minutes: float, result, *, by: int | None = 1, **more):
    """An annotation of annotator 1 as somebody saved it, some minutes after it was made."""
    return annotation(1, result, minutes=minutes, updated_by=by, **more)


def test_a_reviewers_correction_leaves_the_acceptance_and_counts_for_the_quality(
    database, recorder
):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    event(database, saved(0, regions, lead_time=10))
    corrected = [moved(regions[0], 20), regions[2]]
    event(database, saved(5, corrected, by=2, lead_time=70), "ANNOTATION_UPDATED")
    found = figures(recorder)
    overall = found["overall"]
    assert counts(found) == [2, 2, 0, 0, 0, 0, 0]
    assert (overall["acceptance"]["untouched"]["value"], overall["precision"]["value"]) == (1, 0)
    assert (overall["recall"]["value"], overall["recall"]["n"]) == (0, 1)
    assert overall["normalised_error"]["image"]["value"] == pytest.approx(0.2)
    assert overall["displacement_px"]["mean"]["value"] is None
    assert overall["lead_time"]["median"]["value"] == 10
    assert overall["choices"]["accepted"] == 1
    assert (overall["edited_by_others"], overall["acceptance_unknown"]) == (1, 0)
    [author] = found["by"]["annotator"]
    assert (author["name"], author["annotations"], author["edited_by_others"]) == ("1", 1, 1)
    assert found["work_saved"]["actions"]["with_suggestions"]["value"] == 0
    [worst] = found["worst_tasks"]
    assert (worst["f1"], worst["verdicts"]["accepted"]) == (0, 2)


def test_an_edit_whose_beginning_is_unknown_counts_in_no_figure_of_acceptance(database, recorder):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    event(database, saved(5, [moved(regions[0], 20), regions[1]], by=2))
    found = figures(recorder)
    overall = found["overall"]
    assert counts(found) == [0, 0, 0, 0, 0, 0, 0]
    assert overall["acceptance"]["untouched"]["value"] is None
    assert overall["lead_time"]["median"]["value"] is None
    assert (overall["precision"]["n"], overall["precision"]["value"]) == (2, 0.5)
    assert (overall["annotations"], overall["edited_by_others"]) == (1, 1)
    assert overall["acceptance_unknown"] == 1


def test_a_star_from_somebody_else_is_no_edit(database, recorder):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    event(database, saved(0, regions))
    event(database, saved(1, regions[:1]))
    event(database, saved(5, regions[:1], by=2, ground_truth=True))
    found = figures(recorder)
    assert counts(found) == [2, 2, 0, 0, 0, 0, 0]
    assert found["overall"]["edited_by_others"] == 0


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_first_and_newest_state_are_found_in_any_order_of_events(database, recorder, order):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    told = [
        saved(0, regions),
        saved(1, [moved(regions[0], 20), regions[1]]),
        saved(5, regions[:1], by=2),
    ]
    for place in [*order, *order]:
        event(database, told[place])
        found = figures(recorder)
    assert counts(found) == [2, 2, 0, 0, 0, 0, 0]
    assert found["overall"]["recall"]["n"] == 1
    assert found["overall"]["edited_by_others"] == 1


def test_filters_go_by_the_newest_state_and_the_author(database, recorder):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    event(database, saved(0, regions))
    corrected = saved(30, regions[:1], by=2)
    event(database, corrected)
    moment = datetime.fromisoformat(corrected["updated_at"])
    assert counts(figures(recorder, Filters(since=moment)))[:2] == [2, 2]
    assert counts(figures(recorder, Filters(until=moment)))[:2] == [0, 0]
    assert counts(figures(recorder, Filters(annotator=1)))[:2] == [2, 2]
    assert counts(figures(recorder, Filters(annotator=2)))[:2] == [0, 0]
    assert counts(figures(recorder, Filters(label="car"))) == [2, 2, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("parent", "kept", "drawn", "group"),
    [
        (None, False, True, "from_scratch"),
        (None, False, False, "from_scratch"),  # submitted without any point
        (None, True, True, "shown"),
        (7, False, True, "shown"),
        (7, False, False, "shown"),
    ],
)
def test_an_annotation_that_did_not_begin_as_the_suggestions_counts_in_no_figure_of_them(
    database, recorder, parent, kept, drawn, group
):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    result = [*regions[:1]] * kept + [added(12, 12)] * drawn
    event(database, annotation(1, result, parent=parent))
    found = figures(recorder)
    nothing = dict.fromkeys(("shown", "withheld", "from_scratch", "elsewhere"), 0)
    assert found["groups"] == nothing | {group: 1}
    assert counts(found)[0] == (2 if group == "shown" else 0)
    assert found["overall"]["annotations"] == (group == "shown")
    assert found["anchoring"]["withheld"]["annotations"] == 0


def test_an_annotation_that_shared_a_suggestion_once_began_as_them(database, recorder):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    event(database, saved(0, regions, parent=None))
    event(database, saved(5, [added(70, 70)], parent=None))
    found = figures(recorder)
    assert found["groups"]["shown"] == 1
    assert counts(found) == [2, 2, 0, 0, 0, 0, 0]


def test_annotations_without_any_suggestion_and_with_withheld_ones_are_counted(database, recorder):
    predict(database, 1, detection((10, 10)), deliver=False)
    HoldoutStorage(database).withhold(UID, [1], now())
    event(database, annotation(1, [added(10, 10)], parent=None))
    event(database, annotation(2, [added(10, 10)], parent=None))
    event(database, annotation(3, [], parent=None, was_cancelled=True))
    expected = {"shown": 0, "withheld": 1, "from_scratch": 0, "elsewhere": 1}
    assert figures(recorder)["groups"] == expected


def test_a_deleted_annotation_does_not_count_and_its_id_may_be_given_out_again(database, recorder):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    past = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    event(database, annotation(1, regions, **past))
    assert counts(figures(recorder))[0] == 2
    deletion(database, 1)
    assert counts(figures(recorder))[0] == 0
    event(database, annotation(1, regions[:1]))  # made after the deletion
    assert counts(figures(recorder)) == [2, 1, 0, 0, 0, 1, 0]


def test_annotations_of_deleted_tasks_do_not_count(database, recorder):
    regions = predict(database, 1, detection((10, 10)))
    past = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    event(database, annotation(1, regions, **past))
    body = {"action": "TASKS_DELETED", "tasks": [{"id": 1}], "project": PROJECT}
    EventStorage(database).save_event("TASKS_DELETED", 3, body)
    assert counts(figures(recorder))[0] == 0


def test_skipped_annotations_count_apart(database, recorder):
    predict(database, 1, detection((10, 10)))
    event(database, annotation(1, [], was_cancelled=True))
    found = figures(recorder)
    assert found["overall"]["skipped"] == 1
    assert counts(found) == [0] * 7


def test_annotations_made_in_bulk_are_one_event(database, recorder):
    made = [annotation(task, predict(database, task, detection((9, 9)))) for task in (1, 2, 3)]
    body = {"action": "ANNOTATIONS_CREATED", "annotation": made, "task": [], "project": PROJECT}
    EventStorage(database).save_event("ANNOTATIONS_CREATED", 3, body)
    assert counts(figures(recorder)) == [3, 3, 0, 0, 0, 0, 0]


def test_what_cannot_be_used_is_counted_with_its_reason(database, recorder):
    event(database, None)
    event(database, None)  # the same once more
    event(database, {"id": 5})
    event(database, annotation(99, []))
    EventStorage(database).save_event("ANNOTATION_CREATED", None, {"annotation": annotation(1, [])})
    EventStorage(database).save_event(
        "ANNOTATIONS_DELETED", 3, {"annotations": [{"id": "x"}], "project": PROJECT}
    )
    predict(database, 7, detection((10, 10)))
    event(database, annotation(7, [], number=70) | {"result": "no list"})
    early = {"created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}
    event(database, annotation(7, [], number=71, parent=None, **early))
    found = {each["reason"]: each["count"] for each in figures(recorder)["not_used"]}
    assert found == {
        "an event without an annotation": 1,
        "an annotation without the id of its task": 1,
        UNKNOWN_TASK: 1,
        "an annotation without the id of its project and the moment that was made": 1,
        "an annotation without an id": 1,
        "an annotation whose result is not a list of regions": 1,
        NOT_DELIVERED: 1,
    }


def test_of_two_predictions_of_one_version_the_one_that_was_started_from_is_compared(
    database, recorder
):
    first = predict(database, 1, detection((10, 10), (20, 20)), image="/a.png", label_studio_id=1)
    predict(database, 1, detection((80, 80)), image="/b.png", label_studio_id=2)
    event(database, annotation(1, first, parent=None))
    found = figures(recorder)
    assert counts(found) == [2, 2, 0, 0, 0, 0, 0]
    assert found["not_used"] == [{"reason": SECOND, "count": 1}]
    event(database, annotation(1, [], number=2, parent=2))
    assert counts(figures(recorder)) == [3, 2, 0, 0, 0, 1, 0]


def test_oks_is_that_of_pycocotools(database, recorder):
    generator = random.Random(3)
    expected = []
    for task in range(1, 9):
        side = generator.choice((100, 400))
        size = side / generator.choice((2, 4))
        where = [(generator.uniform(1, size), generator.uniform(1, size)) for _ in range(4)]
        regions = predict(database, task, detection(*where, width=side, height=side))
        percent = size / side * 100
        box = {"x": 0, "y": 0, "width": percent, "height": percent}
        drawn = {"id": "r", "to_name": "image", "from_name": "r", "type": "rectangle", "value": box}
        left = [moved(r, generator.gauss(0, 1), generator.gauss(0, 1)) for r in regions[:3]]
        left = [r for r in left if all(0 < r["value"][axis] < percent for axis in "xy")]
        event(database, annotation(task, [*left, drawn]))
        expected.append(pycocotools_oks(left, regions, side, size**2))
    found = figures(recorder)["overall"]["oks"]
    assert found["n"] == 8
    assert found["value"] == pytest.approx(np.mean(expected), abs=1e-9)


def pycocotools_oks(left, regions, side: int, area: float) -> float:
    """OKS of suggestions (slots in the order of `regions`) against what was left of them."""
    ids = [region["id"] for region in regions[:4]]

    def keypoints(kept):
        flat = [0.0] * 12
        for region in kept:
            slot = ids.index(region["id"])
            x, y = (region["value"][axis] / 100 * side for axis in "xy")
            flat[3 * slot : 3 * slot + 3] = [x, y, 2]
        return flat

    common = {"image_id": 1, "category_id": 1, "iscrowd": 0, "area": area}
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": 1, "width": side, "height": side}],
        "categories": [{"id": 1, "name": "object", "keypoints": ["a", "b", "c", "d"]}],
        "annotations": [
            common
            | {"id": 1, "bbox": [0, 0, 1, 1], "num_keypoints": len(left)}
            | {"keypoints": keypoints(left)}
        ],
    }
    truth.createIndex()
    guess = truth.loadRes([{**common, "score": 1.0, "keypoints": keypoints(regions[:4])}])
    evaluation = COCOeval(truth, guess, "keypoints")
    evaluation.params.kpt_oks_sigmas = np.full(4, SIGMA)
    evaluation.params.imgIds, evaluation.params.catIds = [1], [1]
    evaluation._prepare()
    return float(evaluation.computeOks(1, 1)[0, 0])


def test_pck_and_error_by_the_object_count_only_points_whose_object_is_known(database, recorder):
    regions = predict(database, 1, detection((10, 10), (80, 80)))
    box = {"x": 0, "y": 0, "width": 20, "height": 10}
    drawn = {"id": "r", "to_name": "image", "type": "rectangle", "value": {**box, "height": 20}}
    event(database, annotation(1, [moved(regions[0], 1), moved(regions[1], 9), drawn]))
    overall = figures(recorder)["overall"]
    assert overall["normalised_error"]["object"]["value"] == pytest.approx(1 / 20)
    assert overall["normalised_error"]["object"]["n"] == 1
    assert values(overall["pck"]["object"]) == [0, 0, pytest.approx(1), 1]
    assert overall["normalised_error"]["image"]["value"] == pytest.approx(0.05)


def test_people_are_compared_with_one_another_and_with_the_detector(database, recorder):
    predict(database, 1, detection((10, 10), (30, 30), (50, 50)), deliver=False)
    HoldoutStorage(recorder.database).withhold(UID, [1], now())
    for annotator, last in ((1, 70), (2, 71)):
        drawn = [added(11, 11, region_id="a"), added(31, 31, "nose", region_id="b")]
        drawn.append(added(last, 70, region_id="c"))
        event(database, annotation(1, drawn, number=annotator, annotator=annotator, parent=None))
    people = figures(recorder)["people"]
    assert people["tasks"] == people["tasks_compared"] == 1
    assert people["human_human"]["f1"]["value"] == 1.0
    assert people["human_human"]["label_alpha"]["value"] == 1.0
    assert people["detector_human"]["f1"]["value"] == pytest.approx(2 / 3)
    assert people["detector_human"]["label_alpha"]["value"] < 1


def test_people_who_both_saw_the_suggestions_are_not_compared(database, recorder):
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    for annotator in (1, 2):
        event(database, annotation(1, regions, number=annotator, annotator=annotator))
    people = figures(recorder)["people"]
    assert (people["tasks"], people["tasks_shown"]) == (0, 1)
    assert people["reason"] == "both saw the suggestions: no ceiling"


def test_two_model_versions_are_compared_on_the_same_tasks(database, recorder):
    for task in range(1, 7):
        worse = detection((10, 10), (80, 80))
        predict(database, task, worse, version="new")
        regions = predict(database, task, detection((10, 10), (30, 30)), label_studio_id=task)
        event(database, annotation(task, regions, parent=task))
    [pair] = figures(recorder)["model_versions"]
    assert (pair["first"], pair["second"]) == ("new", "small-abc")
    seen = pair["saw_second"]
    assert (seen["tasks"], pair["neither"]["tasks"]) == (6, 0)
    assert (seen["first_f1"]["value"], seen["second_f1"]["value"]) == (0.5, 1.0)
    assert (seen["difference"]["value"], seen["difference"]["images"]) == (0.5, 6)


def test_suggestions_that_were_withheld_count_in_no_figure_but_the_comparison(database, recorder):
    for task in range(1, 11):
        shown = predict(database, task, detection((10, 10), (30, 30)))
        event(database, annotation(task, shown))
        predict(database, task + 100, detection((10, 10), (30, 30)), deliver=False)
        alone = [added(11, 10.5, region_id="a"), added(70, 70, region_id="b")]
        event(database, annotation(task + 100, alone, parent=None))
    HoldoutStorage(recorder.database).withhold(UID, range(101, 111), now())
    found = figures(recorder)
    assert counts(found) == [20, 20, 0, 0, 0, 0, 0]
    anchoring = found["anchoring"]
    assert anchoring["withheld"]["annotations"] == 10
    assert anchoring["withheld"]["precision"]["value"] == 0.5
    assert anchoring["difference"]["value"] == 0.5
    assert (anchoring["difference"]["n"], anchoring["difference"]["images"]) == (10, 20)


def test_salient_landmarks_are_ranked_with_their_lift_over_chance(database, recorder):
    for task in range(1, 7):
        regions = predict(database, task, detection((10, 10)))
        nose = relabelled(regions[0], "nose")
        event(database, annotation(task, [nose, added(80, 80, "tail")]))
    nose, tail = figures(recorder)["landmarks"]
    assert (nose["class"], nose["label"], nose["annotated"]) == ("car", "nose", 6)
    assert (nose["found"]["value"], tail["found"]["value"]) == (1.0, 0.0)
    chance = math.pi * 5**2 / 100**2  # one point, anywhere on 100 × 100 px, within 5 px
    assert nose["withheld"]["annotated"] == 0
    assert nose["lift"]["value"] == pytest.approx(1 / chance)


def test_the_score_is_set_against_how_often_it_was_right(database, recorder):
    regions = predict(database, 1, detection(*[(10 * n, 10 * n) for n in range(1, 9)]))
    event(database, annotation(1, regions[:4]))  # the four with the highest scores
    bins = figures(recorder)["reliability"]
    assert [each["accepted"]["value"] for each in bins] == sorted(
        each["accepted"]["value"] for each in bins
    )
    assert sum(each["accepted"]["n"] for each in bins) == 8
    assert (bins[0]["accepted"]["value"], bins[-1]["accepted"]["value"]) == (0, 1)


def test_the_tasks_that_agree_least_come_first(two_tasks):
    found = figures(two_tasks)["worst_tasks"]
    # 4 of 5 points of the first task have a partner, 2 of 5 of the second.
    assert [(each["task"], each["f1"]) for each in found] == [(2, 2 / 5), (1, 4 / 5)]


def test_the_radius_is_the_same_in_every_figure(database, recorder):
    """30 px off is far on an object of 100 px, however large the image is."""
    box = {"x": 0, "y": 0, "width": 10, "height": 10}
    drawn = {"id": "r", "to_name": "image", "from_name": "r", "type": "rectangle", "value": box}
    for task in range(1, 3):
        found = detection((50, 50), width=1000, height=1000)
        predict(database, task, found, deliver=False)
        predict(database, task, found, version="new", deliver=False)
        final = [added(8.05, 5.05, side=1000), drawn]
        for one in (1, 2):
            made = annotation(task, final, number=10 * task + one, annotator=one, parent=None)
            event(database, made)
    HoldoutStorage(recorder.database).withhold(UID, [1, 2], now())
    report = figures(recorder)
    assert report["anchoring"]["withheld"]["f1"]["value"] == 0.0
    assert report["people"]["detector_human"]["f1"]["value"] == 0.0
    assert report["model_versions"][0]["neither"]["first_f1"]["value"] == 0.0
    assert report["landmarks"][0]["withheld"]["found"]["value"] == 0.0


def test_a_box_of_the_task_is_what_its_points_are_measured_by(database, recorder):
    found = detection((30, 30), box=Box(20, 20, 40, 40))
    regions = predict(database, 1, found)
    event(database, annotation(1, [moved(regions[0], 2)]))
    object_error = figures(recorder)["overall"]["normalised_error"]["object"]["value"]
    assert object_error == pytest.approx(2 / 40)


# Whatever the order


def stories() -> st.SearchStrategy[list[tuple]]:
    act = st.sampled_from(["make", "change", "skip", "delete"])
    return st.lists(st.tuples(act, st.integers(1, 3), st.integers(0, 15)), max_size=8)


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(stories(), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_events_changes_a_figure(story, draw):
    def figures_of(order) -> dict:
        with TemporaryDirectory() as folder:
            database = Database(f"sqlite:///{Path(folder) / 'b.sqlite3'}")
            database.migrate()
            recorder = Recorder(Settings(suggest="always"), database)
            sent = {
                task: predict(database, task, detection((10, 10), (30, 30), (50, 50), (80, 20)))
                for task in (1, 2, 3)
            }
            events = list(happened(story, sent))
            for action, body in order(events):
                EventStorage(database).save_event(action, 3, body)
                if draw.random() < 0.5:
                    recorder.drain()
            recorder.drain()
            found = measure_agreement(recorder.database, Filters()).as_json()
            database.close()
            for name in ("made_at", "events", "worst_tasks"):
                del found[name]
            return found

    straight = figures_of(lambda events: events)
    points = straight["overall"]["points"]
    judged = sum(points.values()) - points["suggested"] - points["judged"] - points["added"]
    assert points["suggested"] <= points["judged"] == judged

    def shuffled(events):
        # A deletion counts from the moment that it is heard of, so these stay at their end.
        twice = events + draw.sample(events, len(events) // 2)
        draw.shuffle(twice)
        return sorted(twice, key=lambda each: each[0].endswith("DELETED"))

    assert figures_of(shuffled) == straight


def happened(story, sent) -> Iterator[tuple[str, dict]]:
    """Events of a story: annotations of three tasks, made in the past, each change a minute on."""
    deleted = set()
    for minute, (act, task, kept) in enumerate(story):
        if act == "delete":
            deleted.add(task)
            continue
        points = [region for place, region in enumerate(sent[task]) if kept >> place & 1]
        points = [
            moved(each, 4) if place == kept % 4 else each for place, each in enumerate(points)
        ]
        at = {"created_at": "2026-01-01T00:00:00Z"}
        at |= {"updated_at": f"2026-01-01T00:{minute:02}:00Z"}
        body = annotation(task, points, was_cancelled=act == "skip", **at)
        action = "ANNOTATION_UPDATED" if act == "change" else "ANNOTATION_CREATED"
        yield action, {"action": action, "annotation": body, "project": dict(PROJECT)}
    for task in sorted(deleted):
        body = {"annotations": [{"id": task}], "project": dict(PROJECT)}
        yield "ANNOTATIONS_DELETED", body
