import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_labelstudio_shapes import json_values

from backend.labelstudio.schemas import (
    Annotation,
    BoxSources,
    ChoicesRegion,
    EventBody,
    EventProject,
    Prediction,
    PredictRequest,
    Project,
    SetupRequest,
    Task,
    TaskReference,
    WebhookEvent,
    deleted_ids,
    without_token,
)
from backend.labelstudio.shapes import Shape, ShapeError, one_or_many, read, read_or_none

SAMPLES = Path(__file__).parents[2] / "shared/label-studio/samples"
REGION = {"id": "a", "type": "keypointlabels", "value": {"x": 1, "y": 2}}


def sample(name: str) -> Any:
    path = SAMPLES / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: Label Studio's own requests cannot be read")
    return json.loads(path.read_text())["body"]


# What Label Studio really sends


def test_its_setup_is_read() -> None:
    body = sample("setup")
    found = read(SetupRequest, body)
    assert found.project == body["project"]
    assert found.label_config == body["schema"]
    assert found.hostname == body["hostname"]
    assert found.access_token == body["access_token"]


@pytest.mark.parametrize(("name", "draws"), [("predict", False), ("predict_interactive", True)])
def test_its_predict_is_read_with_every_task(name: str, draws: bool) -> None:
    body = sample(name)
    found = read(PredictRequest, body)
    assert (found.project, found.label_config) == (body["project"], body["label_config"])
    assert (found.context is not None) == draws
    assert found.tasks == body["tasks"]
    for raw in found.tasks:
        task = read(Task, raw)
        assert (task.id, task.image_url("image")) == (raw["id"], raw["data"]["image"])


EVENTS = sorted(path.stem for path in SAMPLES.glob("webhook_*.json")) or ["webhook_none"]


@pytest.mark.parametrize("name", EVENTS)
def test_its_events_are_read_with_project_annotations_and_tasks(name: str) -> None:
    body = sample(name)
    event = read(WebhookEvent, body)
    assert event.action == body["action"]
    assert event.project is not None
    assert event.project.id == body["project"]["id"]
    assert event.project.uid is not None
    assert event.project.label_config == body["project"]["label_config"]
    for raw in one_or_many(body.get("annotation")):
        annotation = read(Annotation, raw)
        assert (annotation.id, annotation.task) == (raw["id"], raw["task"])
        assert annotation.result is raw["result"]
        assert annotation.completed_by == raw["completed_by"]
        assert annotation.lead_time == raw["lead_time"]
        assert annotation.parent_prediction == raw["parent_prediction"]
        assert None not in (annotation.created_at, annotation.updated_at)
    for raw in [*one_or_many(body.get("task")), *body.get("tasks", [])]:
        assert read(Task, raw).image_url("image") == raw["data"]["image"]
    if "annotations" in body:
        assert deleted_ids(body["annotations"]) == [each["id"] for each in body["annotations"]]


# Requests


@pytest.mark.parametrize(
    "value", [None, True, 1.5, "", "x" * 101, "a\0b", "a\nb", "\ud800", [], {}]
)
def test_a_malformed_project_is_refused(value: object) -> None:
    with pytest.raises(ShapeError, match=r"expected text such as 3\.1795347724, .* in 'project'"):
        read(SetupRequest, {"project": value})


@pytest.mark.parametrize(("value", "uid"), [("3.1795347724", "3.1795347724"), (7, "7")])
def test_a_project_is_named_as_label_studio_does(value: object, uid: str) -> None:
    assert read(SetupRequest, {"project": value}).project == uid


def test_a_missing_list_of_tasks_is_reported_as_missing() -> None:
    with pytest.raises(ShapeError, match="in 'tasks', got nothing"):
        read(PredictRequest, {})


@pytest.mark.parametrize("value", [1, [], "a\0b", "\udfff"])
def test_a_configuration_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ShapeError, match="expected text in 'schema'"):
        read(SetupRequest, {"project": "a", "schema": value})


@pytest.mark.parametrize("value", ["ftp://host", "host:8080", "http://", "http://[", 5])
def test_a_malformed_address_is_refused(value: object) -> None:
    with pytest.raises(ShapeError, match=r"expected an address .* in 'hostname'"):
        read(SetupRequest, {"project": "a", "hostname": value})


@pytest.mark.parametrize("value", [None, ""])
def test_an_address_may_be_missing(value: object) -> None:
    assert read(SetupRequest, {"project": "a", "hostname": value}).hostname is None


@pytest.mark.parametrize("parameters", [None, [], {}, {"context": None}, {"context": []}])
def test_an_ordinary_request_has_no_context(parameters: object) -> None:
    body = {"tasks": [], "project": "a", "params": parameters}
    assert read(PredictRequest, body).context is None


@pytest.mark.parametrize("project", [None, 3, [], {}, {"id": True}, {"id": 2**70}, {"id": "3"}])
def test_an_event_of_no_known_project_is_read_without_one(project: object) -> None:
    found = read(WebhookEvent, {"action": "X", "project": project}).project
    assert found is None or (found.id, found.uid) == (None, None)
    assert without_token({"project": project}) == {"project": project}


@pytest.mark.parametrize("action", [None, 5, "", "x" * 101, "a\nb", []])
def test_an_event_without_an_action_is_refused(action: object) -> None:
    with pytest.raises(ShapeError, match="expected text such as ANNOTATION_CREATED in 'action'"):
        read(WebhookEvent, {"action": action})


def test_the_token_of_a_project_is_not_kept() -> None:
    body = {"action": "X", "project": {"id": 3, "token": "secret"}, "task": {"token": "a word"}}
    kept = without_token(body)
    assert kept == {"action": "X", "project": {"id": 3}, "task": {"token": "a word"}}
    assert body["project"]["token"] == "secret"  # type: ignore[index]


@pytest.mark.parametrize("deleted", [[], [None], [{"id": "3"}], [{"id": 1}, {}], [True]])
def test_a_deletion_that_lacks_an_id_is_refused(deleted: list[Any]) -> None:
    with pytest.raises(ShapeError, match="expected the ids of what was deleted"):
        deleted_ids(deleted)


def test_a_deletion_lists_numbers_or_objects() -> None:
    assert deleted_ids([{"id": 3, "other": 1}, 4]) == [3, 4]


# Projects, tasks and annotations


@pytest.mark.parametrize(
    ("project", "uid"),
    [
        ({"id": 3, "created_at": "2026-11-22T12:00:00.9Z"}, "3.1795348800"),
        ({"id": 3, "created_at": "2026-11-22T12:00:00"}, "3.1795348800"),
        ({"id": 3, "created_at": 1795348800}, None),
        ({"id": "3", "created_at": "2026-11-22T12:00:00Z"}, None),
        ({"id": 3}, None),
    ],
)
def test_a_project_is_identified_by_id_and_time_of_creation(
    project: dict[str, Any], uid: str | None
) -> None:
    assert read(EventProject, project).uid == uid


@pytest.mark.parametrize("text", [5, "a\0b", [], {}, True])
def test_the_configuration_of_a_project_is_text_or_null(text: object) -> None:
    project = {"id": 3, "created_at": "2026-11-22T12:00:00.9Z"}
    assert read(Project, {**project, "label_config": None}).label_config == ""
    with pytest.raises(ShapeError, match="expected text in 'label_config'"):
        read(Project, {**project, "label_config": text})


def test_what_else_is_malformed_in_a_project_counts_as_missing() -> None:
    odd = {"title": 5, "task_number": "many", "show_collab_predictions": "no"}
    project = {"id": 3, "created_at": "2026-11-22T12:00:00Z", "label_config": "<View/>"}
    found = read(Project, {**project, **odd})
    assert found == read(Project, project)
    assert (found.title, found.task_number, found.show_collab_predictions) == ("", None, True)


@pytest.mark.parametrize("task", [None, 3, [], {}, {"id": "3"}, {"id": True}, {"id": 2**64}])
def test_a_task_without_an_id_is_refused(task: object) -> None:
    assert read_or_none(Task, task) is None


@pytest.mark.parametrize("data", [None, [], {}, {"image": ""}, {"image": 5}, {"image": "a\0"}])
def test_a_task_may_lack_the_address_of_its_image(data: object) -> None:
    assert read(Task, {"id": 1, "data": data}).image_url("image") is None


def test_a_malformed_annotation_of_a_task_does_not_spoil_the_others() -> None:
    good = {"result": [REGION], "updated_at": "2026-01-01"}
    annotations = [7, {"result": None}, {"result": [3]}, good, None, {}]
    task = read(Task, {"id": 1, "drafts": "none", "annotations": annotations})
    assert task.drafts == task.box_sources().drafts == []
    [found] = task.drawings()
    assert found.result[0] is REGION
    assert task.box_sources().annotations == [found]


def test_the_kept_part_of_a_task_holds_the_same_sources_of_a_box() -> None:
    drawing = {"result": [REGION], "updated_at": "2026-01-01", "was_cancelled": True, "id": 5}
    data = {"box": {"x": 1}, "image": "/a.png"}
    kept = read(Task, {"id": 1, "data": data, "annotations": [drawing]}).box_sources().box_json()
    assert kept == {
        "data": {"box": {"x": 1}},
        "drafts": [],
        "annotations": [{"result": [REGION], "updated_at": "2026-01-01"}],
    }
    assert read(BoxSources, kept).box_json() == kept


def test_a_listed_annotation_gets_the_id_of_its_task() -> None:
    listed = read(Task, {"id": 3, "annotations": [{"id": 1}, None, {"id": 2, "task": 9}]})
    assert list(listed.raw_annotations()) == [{"id": 1, "task": 3}, {"id": 2, "task": 9}]


@pytest.mark.parametrize(
    ("predictions", "found"),
    [
        ([{"id": 1, "model_version": "b"}, {"id": 2, "model_version": "a"}], True),
        ([{"id": 1, "model_version": "b"}], False),
        ([None, 5, {"model_version": 5}, {"id": 2, "model_version": "a"}], True),
        ([], False),
        ("none", False),
        (None, False),
    ],
)
def test_a_task_knows_which_model_versions_have_predicted_it(
    predictions: object, found: bool
) -> None:
    assert read(Task, {"id": 1, "predictions": predictions}).has_prediction_of("a") is found


def test_a_prediction_is_given_back_as_it_was_read() -> None:
    result = [REGION, {"type": "choices", "value": {"choices": ["bus"]}}]
    sent = {"result": result, "score": 0.5, "model_version": "a"}
    found = read(Prediction, {**sent, "id": 7, "task": 3})
    assert found.as_json() == sent
    assert (found.id, found.task, found.keypoints, found.classes) == (7, 3, 1, ["bus"])


@pytest.mark.parametrize("result", [None, "none", [None, 5], [{}, {"type": "choices"}]])
def test_a_prediction_of_malformed_regions_has_no_keypoints(result: object) -> None:
    found = read(Prediction, {"id": 7, "result": result, "score": "high", "model_version": 5})
    assert (found.keypoints, found.classes) == (0, [])
    assert (found.score, found.model_version) == (None, None)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (None, None),
        ([], None),
        ({}, "id"),
        ({"id": "5", "task": 2}, "id"),
        ({"id": 5}, "task"),
        ({"id": 5, "task": None}, "task"),
    ],
)
def test_an_annotation_names_the_field_at_fault(raw: object, field: str | None) -> None:
    with pytest.raises(ShapeError) as caught:
        read(Annotation, raw)
    assert caught.value.field == field


def test_what_else_is_malformed_in_an_annotation_counts_as_missing() -> None:
    odd = {"lead_time": "NaN", "completed_by": [], "created_at": 5, "updated_at": "soon"}
    odd |= {"was_cancelled": "no", "parent_prediction": {"id": 3}, "result": {}}
    assert read(Annotation, {"id": 5, "task": 2, **odd}) == read(Annotation, {"id": 5, "task": 2})


@pytest.mark.parametrize(
    ("value", "choices"),
    [
        ({"choices": ["bus", 5, None, "van"]}, ["bus", "van"]),
        ({"choices": "bus"}, []),
        ({}, []),
        (None, []),
        ([1], []),
    ],
)
def test_choices_that_are_no_text_are_skipped(value: object, choices: list[str]) -> None:
    assert read(ChoicesRegion, {"from_name": "type", "value": value}).value.choices == choices


SHAPES: list[type[Shape]] = [
    Annotation,
    BoxSources,
    ChoicesRegion,
    EventBody,
    EventProject,
    Prediction,
    PredictRequest,
    Project,
    SetupRequest,
    Task,
    TaskReference,
    WebhookEvent,
]
names = st.sampled_from(
    sorted({field.alias or name for each in SHAPES for name, field in each.model_fields.items()})
)
objects = st.dictionaries(names, json_values | st.lists(st.dictionaries(names, json_values)))


@pytest.mark.parametrize("shape", SHAPES)
@given(value=json_values | objects)
def test_arbitrary_json_is_read_or_refused_and_never_changed(
    shape: type[Shape], value: object
) -> None:
    before = json.dumps(value)
    try:
        found = read(shape, value)
    except ShapeError as error:
        assert str(error).startswith("expected")
    else:
        assert isinstance(found, shape)
    assert json.dumps(value) == before


@given(st.lists(json_values, max_size=4))
def test_arbitrary_deletions_are_read_or_refused(deleted: list[Any]) -> None:
    try:
        ids = deleted_ids(deleted)
    except ShapeError:
        return
    assert len(ids) == len(deleted) > 0


@pytest.mark.parametrize("shape", [SetupRequest, PredictRequest])
def test_callers_cannot_name_a_project_of_cvat(shape: type[Shape]) -> None:
    """Its images are fetched with a token that callers do not have."""
    body = {"project": "cvat:localhost:8080/task/7", "tasks": [], "schema": "<View/>"}
    with pytest.raises(ShapeError, match=r"expected text such as 3\.1795347724"):
        read(shape, body)
