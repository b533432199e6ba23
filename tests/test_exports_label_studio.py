import json
from typing import Any

import pytest
from exporting import exported
from verdict_data import CONFIG, UID, added, annotation, detection, event, moved, predict

from backend.agreement.queries import AgreementQueries
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.regions import to_keypoint
from backend.settings import Settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Entry, Filters

RECTANGLE = {
    "id": "rectangle",
    "from_name": "box",
    "to_name": "image",
    "type": "rectanglelabels",
    "original_width": 100,
    "original_height": 100,
    "value": {"x": 5, "y": 5, "width": 50, "height": 50, "rectanglelabels": ["thing"]},
}


def tasks_of(content: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(content)
    return found


def verdicts_of(database: Database) -> list[tuple[Any, ...]]:
    """Everything that the log says of the annotations' regions."""
    Recorder(Settings(), database).drain()
    rows = [row for part in AgreementQueries(database).verdict_rows(Filters()) for row in part]
    start = rows[0]._fields.index("kind")
    return sorted((row[start:] for row in rows), key=repr)


def work(database: Database) -> list[dict[str, Any]]:
    """Two annotators of one task; the regions that each left."""
    regions = predict(database, 1, detection((10, 10), (30, 30), (50, 50)))
    relation = {"type": "relation", "from_id": "rectangle", "to_id": regions[0]["id"]}
    first = [regions[0], moved(regions[1], 3), regions[3], added(70, 70, "nose"), RECTANGLE]
    first.append({**relation, "direction": "right"})
    event(database, annotation(1, first, number=1, annotator=1))
    event(database, annotation(1, regions[1:], number=2, annotator=2))
    return [{"regions": first}, {"regions": regions[1:]}]


def test_a_task_has_its_image_its_predictions_and_its_annotations(any_database):
    left = work(any_database)
    [task] = tasks_of(exported(any_database, "label-studio"))
    assert task["data"] == {"image": "/data/upload/1.png"}
    [prediction] = task["predictions"]
    assert (prediction["model_version"], len(prediction["result"])) == ("small-abc", 4)
    assert [each["result"] for each in task["annotations"]] == [each["regions"] for each in left]
    assert task["meta"]["annotators"] == [1, 2]
    # Label Studio refuses users that it does not know.
    assert not any("completed_by" in each for each in task["annotations"])


def test_what_is_imported_again_gives_the_same_verdicts(database, tmp_path):
    work(database)
    before = verdicts_of(database)
    [task] = tasks_of(exported(database, "label-studio"))
    again = Database(f"sqlite:///{tmp_path / 'again.sqlite3'}")
    again.migrate()
    predict(again, 1, detection((10, 10), (30, 30), (50, 50)))
    for number, each in enumerate(task["annotations"]):
        event(again, annotation(1, each["result"], number=number))
    assert verdicts_of(again) == before
    again.close()


def test_an_annotation_that_a_pull_brought_is_written_anew(database):
    """No event has its regions: points and class come from the log."""
    regions = predict(database, 1, detection((10, 10), (30, 30)))
    body = annotation(1, [regions[0], moved(regions[1], 3), regions[2], RECTANGLE])
    recorder = Recorder(Settings(), database)
    state = recorder.state_of(UID, body, "sync")

    recorder.verdicts.record([Entry(None, [state])], now())
    [task] = tasks_of(exported(database, "label-studio"))
    first, second, choice = task["annotations"][0]["result"]
    for found, sent in ((first, regions[0]), (second, moved(regions[1], 3))):
        assert found["id"] == sent["id"]
        assert (found["from_name"], found["to_name"], found["type"]) == (
            "kp",
            "image",
            "keypointlabels",
        )
        assert "score" not in found
        point, expected = to_keypoint(found), to_keypoint(sent)
        assert (point.x, point.y) == pytest.approx((expected.x, expected.y))
        assert point.label == "car"
    assert (choice["type"], choice["from_name"]) == ("choices", "class")
    assert choice["value"] == {"choices": ["car"]}


def test_one_label_alone_leaves_other_points_out(any_database):
    work(any_database)
    found = exported(any_database, "label-studio", filters=Filters(label="nose"))
    [task] = tasks_of(found)
    results = [each["result"] for each in task["annotations"]]
    kinds = [[(each["type"], each["value"].get("keypointlabels")) for each in r] for r in results]
    assert kinds == [[("keypointlabels", ["nose"]), ("choices", None)], [("choices", None)]]


def test_a_project_of_which_nothing_is_known_gets_names_of_controls(any_database):
    work(any_database)
    ProjectStorage(any_database).save_label_config(UID, "<View/>")
    [task] = tasks_of(exported(any_database, "label-studio", filters=Filters(label="nose")))
    [region] = task["annotations"][0]["result"]
    assert (region["from_name"], region["value"]["keypointlabels"]) == ("keypoints", ["nose"])
    assert task["data"] == {"image": "/data/upload/1.png"}
    ProjectStorage(any_database).save_label_config(UID, CONFIG)
    assert tasks_of(exported(any_database, "label-studio"))[0]["data"] == task["data"]


def test_an_empty_log_is_an_empty_list(any_database):
    assert tasks_of(exported(any_database, "label-studio")) == []
