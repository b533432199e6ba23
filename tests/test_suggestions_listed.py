"""Labels and choices that each task lists for itself, from the request to the verdict."""

from dataclasses import replace
from typing import Any

import pytest
from label_studio_fake import UID
from prediction_rows import DETECTION, VERSION, fetched

from backend.database.connection import Database, now
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import Project, ProjectStorage
from backend.settings import Settings
from backend.suggestions.listed import has_box
from backend.suggestions.presentation import Presentation
from backend.suggestions.storage import PredictionStorage
from backend.suggestions.wanted import wanted_of
from model.keypoint import Keypoint

CONFIG = (
    '<View><Image name="image" value="$image"/>'
    '<KeyPointLabels name="kp" toName="image" value="$meta.parts"/>'
    '<Taxonomy name="tree" toName="image" value="$tree"/></View>'
)
TREE = [{"value": "vehicle", "children": [{"value": DETECTION.class_name}]}]


def task(number: int, *labels: str, **more: Any) -> dict[str, Any]:
    parts = [{"value": label} for label in labels]
    return {"id": number, "data": {"image": "/a.png", "meta": {"parts": parts}, **more}}


@pytest.fixture
def sent(database: Database):
    """Return the regions that a task is sent."""
    ProjectStorage(database).save_label_config(UID, CONFIG)
    control = keypoint_control(CONFIG)
    predictions = PredictionStorage(database)

    def sent(raw: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = wanted_of(raw, control)
        assert wanted is not None
        [row] = predictions.request(UID, VERSION, [wanted], retry_failed_before=now())
        point = Keypoint(1.0, 2.0, 0.9, DETECTION.class_name)
        predictions.finish(row.id, replace(DETECTION, keypoints=(point,)))
        project = Project(UID, None, None, CONFIG)
        presentation = Presentation(Settings(suggest="always"), database)
        return presentation.as_sent(fetched(database, row.id), project, control)["result"]

    return sent


def labels_of(result: list[dict[str, Any]]) -> list[str]:
    return [each["value"]["keypointlabels"][0] for each in result if "x" in each["value"]]


def test_each_task_gets_the_labels_that_it_lists(sent) -> None:
    assert labels_of(sent(task(1, "wheel", "lamp"))) == ["wheel"]
    assert labels_of(sent(task(2, "lamp"))) == ["lamp"]
    assert labels_of(sent(task(3, "lamp", DETECTION.class_name))) == [DETECTION.class_name]


def test_a_task_that_lists_nothing_gets_nothing(sent) -> None:
    assert sent({"id": 1, "data": {"image": "/a.png"}}) == []


def test_the_class_is_suggested_in_the_taxonomy_that_the_task_lists(sent) -> None:
    [region] = [each for each in sent(task(1, "lamp", tree=TREE)) if each["type"] == "taxonomy"]
    assert region["value"] == {"taxonomy": [["vehicle", DETECTION.class_name]]}


def test_other_labels_make_another_prediction_and_no_box() -> None:
    control = keypoint_control(CONFIG)
    one, same, other, none = (
        wanted_of(each, control)
        for each in (
            task(1, "a"),
            task(1, "a"),
            task(1, "b"),
            {"id": 1, "data": {"image": "/a.png"}},
        )
    )
    assert one is not None and same is not None and other is not None and none is not None
    assert one.input_sha256 == same.input_sha256
    assert len({one.input_sha256, other.input_sha256, none.input_sha256}) == 3
    assert not has_box(one.task)
    boxed = task(1, "a", box={"x": 1, "y": 1, "width": 5, "height": 5})
    found = wanted_of(boxed, control)
    assert found is not None and has_box(found.task)
