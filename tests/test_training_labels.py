from typing import Any

import pytest

from backend.labelstudio.class_controls import class_controls
from backend.labelstudio.label_config import LabelConfigError
from backend.labelstudio.schemas import Task
from backend.labelstudio.shapes import read_each
from backend.training.labels import ClassLabels, class_labels, labels_of, possible_controls
from model.learning.class_sizes import UnusableLabels

CONFIG = """<View>
  <Image name="image" value="$photo"/>
  <Choices name="quality" toName="image"><Choice value="good"/><Choice value="bad"/></Choices>
  <choices name="type" toName="image"><Choice value="bus"/><Choice value="van"/></choices>
  <Choices name="part" toName="image" perRegion="true"><Choice value="wheel"/></Choices>
  <Choices name="tree" toName="image" allowNested="true"><Choice value="car"/></Choices>
  <Text name="text" value="$text"/>
  <Choices name="mood" toName="text"><Choice value="glad"/></Choices>
</View>"""
QUALITY, TYPE, TREE = class_controls(CONFIG)


def chosen(*choices: object, control: str = "type", **more: Any) -> dict[str, Any]:
    """An annotation."""
    region = {"from_name": control, "type": "choices", "value": {"choices": list(choices)}}
    return {"was_cancelled": False, "result": [region]} | more


def task(number: int, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "data": {"photo": f"/{number}.png"}, "annotations": list(annotations)}


def labels(*tasks: dict[str, Any]) -> dict[int, str]:
    return {each.task_id: each.label for each in labels_of(read_each(Task, tasks), TYPE).tasks}


def reasons(*tasks: dict[str, Any]) -> dict[str, str]:
    return dict(labels_of(read_each(Task, tasks), TYPE).left_out)


def test_controls_about_a_whole_image_may_name_classes():
    assert [each.from_name for each in class_controls(CONFIG)] == ["quality", "type", "tree"]


def test_a_configuration_that_cannot_be_read_is_refused():
    with pytest.raises(LabelConfigError, match="XML"):
        class_controls("<View>")


def test_the_choice_of_an_annotation_is_the_class_of_its_image():
    [found] = labels_of(read_each(Task, [task(7, chosen("bus"))]), TYPE).tasks
    assert (found.task_id, found.image_url, found.label) == (7, "/7.png", "bus")


@pytest.mark.parametrize(
    "annotation",
    [
        chosen("bus", was_cancelled=True),
        chosen("bus", control="quality"),
        chosen(),
        {"result": []},
        {"result": None},
        {"result": [{"from_name": "type", "value": None}]},
    ],
    ids=["cancelled", "another control", "nothing chosen", "empty", "no result", "no value"],
)
def test_what_names_no_class_is_passed_over(annotation: dict[str, Any]):
    found = labels_of(read_each(Task, [task(1, annotation)]), TYPE)
    assert found == ClassLabels("type", [], [])


def test_annotators_who_agree_count_once():
    assert labels(task(1, chosen("bus"), chosen("bus"))) == {1: "bus"}


def test_annotators_who_disagree_leave_the_image_out():
    several = task(1, chosen("van"), chosen("bus"), chosen("bus"))
    assert labels(several, task(2, chosen("bus"))) == {2: "bus"}
    assert reasons(several) == {"task 1": "annotators call it bus and van"}


def test_a_cancelled_annotation_contradicts_nobody():
    assert labels(task(1, chosen("bus"), chosen("van", was_cancelled=True))) == {1: "bus"}


def test_an_image_of_two_classes_at_once_is_left_out():
    assert reasons(task(1, chosen("bus", "van"))) == {"task 1": "it is called bus and van"}


def test_a_task_without_an_image_is_left_out():
    without = task(1, chosen("bus")) | {"data": {"text": "x"}}
    assert "'photo'" in reasons(without)["task 1"]


def both(number: int, quality: str, kind: str) -> dict[str, Any]:
    return task(number, chosen(quality, control="quality"), chosen(kind))


def test_of_several_controls_the_first_with_enough_labels_is_learnt(caplog):
    caplog.set_level("INFO")
    tasks = [both(number, "good", ("bus", "van")[number % 2]) for number in range(4)]
    assert class_labels(read_each(Task, tasks), [QUALITY, TYPE]).control == "type"
    assert "choices of 'type' (not of 'quality'): 2 bus, 2 van" in caplog.text
    tasks += [both(number, "bad", "bus") for number in range(4, 6)]
    assert class_labels(read_each(Task, tasks), [QUALITY, TYPE]).control == "quality"


def test_the_control_that_is_named_is_learnt_alone():
    assert possible_controls(CONFIG, "type") == [TYPE]
    assert possible_controls(CONFIG) == [QUALITY, TYPE, TREE]
    with pytest.raises(UnusableLabels, match=r"\(quality, type, tree\), got 'part'"):
        possible_controls(CONFIG, "part")


def test_a_configuration_without_classes_is_refused_with_an_example():
    with pytest.raises(UnusableLabels, match="<Choices name="):
        possible_controls('<View><Image name="image" value="$image"/></View>')


def test_a_choice_made_once_does_not_keep_the_others_from_being_learnt():
    tasks = [task(n, chosen("bus" if n % 2 else "van")) for n in range(4)]
    tasks.append(task(4, chosen("lorry")))
    labels = class_labels(read_each(Task, tasks), [TYPE])
    assert labels.counts() == {"bus": 2, "van": 2, "lorry": 1}


@pytest.mark.parametrize(
    ("tasks", "got"),
    [
        ([], "nothing in 'type'"),
        ([task(1, chosen("bus")), task(2, chosen("bus"))], "2 bus in 'type'"),
        ([task(n, chosen("bus" if n else "van")) for n in range(3)], "2 bus, 1 van in 'type'"),
        ([task(1, chosen("bus"), chosen("van"))], "left out task 1: annotators call it"),
    ],
    ids=["none", "one class", "one image", "contradictory"],
)
def test_too_few_labels_are_refused_with_what_is_needed(tasks: list[dict[str, Any]], got: str):
    with pytest.raises(UnusableLabels) as caught:
        class_labels(read_each(Task, tasks), [TYPE])
    assert "at least two different choices" in str(caught.value)
    assert "at least 2 images" in str(caught.value)
    assert got in str(caught.value)


def in_tree(*paths: list[str]) -> dict[str, Any]:
    region = {"from_name": "tree", "type": "choices", "value": {"choices": list(paths)}}
    return {"was_cancelled": False, "result": [region]}


def test_the_class_of_a_nested_choice_is_its_last_name_or_its_path():
    tasks = read_each(
        Task,
        [
            task(1, in_tree(["bird", "duck"])),
            task(2, in_tree(["bird", "other"])),
            task(3, in_tree(["bee", "other"])),
            task(4, in_tree(["bird"], ["bird", "duck"])),
        ],
    )
    found = labels_of(tasks, TREE)
    assert [each.label for each in found.tasks] == ["duck", "bird / other", "bee / other", "duck"]
    found = labels_of(tasks, TREE, paths_in_full=True)
    assert [each.label for each in found.tasks][::3] == ["bird / duck", "bird / duck"]


def test_two_nested_choices_leave_the_image_out():
    several = task(1, in_tree(["bird", "duck"], ["bird", "gull"]))
    found = labels_of(read_each(Task, [several]), TREE)
    assert dict(found.left_out) == {"task 1": "it is called duck and gull"}
