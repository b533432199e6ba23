"""Which control says that a keypoint is occluded, and what its results look like."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import Project
from backend.labelstudio.regions import to_prediction
from backend.labelstudio.visibility import (
    WORDS,
    VisibilityControl,
    visibility_control,
    visibility_control_of,
)
from model.keypoint import Box, Detection, Keypoint, NamedKeypoint

POINTS = (
    '<Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="nose"/><Label value="tail"/></KeyPointLabels>'
)


def config(choices: str, attributes: str = 'perRegion="true"', to_name: str = "image") -> str:
    return (
        f'<View>{POINTS}<Choices name="seen" toName="{to_name}" {attributes}>{choices}</Choices>'
        "</View>"
    )


BOTH = '<Choice value="visible"/><Choice value="occluded"/>'
CONTROL = VisibilityControl("seen", "image", (("visible", "visible"), ("occluded", "occluded")))


def test_a_choice_for_single_regions_that_names_occluded_points_is_the_control() -> None:
    assert visibility_control(config(BOTH)) == CONTROL


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ('<Choice value="Hidden"/>', (("Hidden", "occluded"),)),
        ('<Choice value="NOT_VISIBLE"/>', (("NOT_VISIBLE", "occluded"),)),
        ('<Choice value="not-visible" alias="n"/>', (("n", "occluded"),)),
        ('<Choice value="verdeckt" alias="occluded"/>', (("occluded", "occluded"),)),
        ('<Choice value="blurred"/><Choice value="invisible"/>', (("invisible", "occluded"),)),
    ],
)
def test_choices_are_known_by_value_or_alias_in_any_case(
    choices: str, expected: tuple[tuple[str, str], ...]
) -> None:
    found = visibility_control(config(choices))
    assert found is not None and found.choices == expected


@pytest.mark.parametrize(
    "text",
    [
        config(BOTH, 'perRegion="false"'),
        config(BOTH, ""),
        config(BOTH, to_name="other"),
        config('<Choice value="visible"/>'),
        config('<Choice value="1"/><Choice value="2"/>'),  # may count anything
        config('<Choice value="verdeckt"/><Choice value="sichtbar"/>'),
        f"<View>{POINTS}</View>",
        "<View/>",
        "no XML",
    ],
)
def test_everything_else_is_no_such_control(text: str) -> None:
    assert visibility_control(text) is None


def test_settings_of_the_project_explain_choices_with_other_names() -> None:
    text = config('<Choice value="sichtbar" alias="s"/><Choice value="verdeckt"/>')
    settings = ProjectSettings(visibility={"sichtbar": "visible", "verdeckt": "occluded"})
    found = visibility_control_of(Project("3.1", None, None, text, settings))
    assert found is not None
    assert found.choices == (("s", "visible"), ("verdeckt", "occluded"))
    assert visibility_control_of(None) is None


def test_the_first_of_several_controls_counts() -> None:
    other = '<Choices name="sex" toName="image" perRegion="true"><Choice value="male"/></Choices>'
    second = f'<Choices name="late" toName="image" perRegion="true">{BOTH}</Choices>'
    text = config(BOTH).replace("</View>", f"{second}</View>").replace("<View>", f"<View>{other}")
    assert visibility_control(text) == CONTROL


def chosen(*choices: object, **more: Any) -> dict[str, Any]:
    value = {"choices": list(choices)}
    return {"id": "a", "from_name": "seen", "type": "choices", "value": value, **more}


@pytest.mark.parametrize(
    ("region", "meaning"),
    [
        (chosen("occluded"), "occluded"),
        (chosen("visible"), "visible"),
        (chosen("other", "occluded"), "occluded"),
        (chosen("Occluded"), None),  # results hold the choice as the configuration has it
        (chosen(), None),
        (chosen(["occluded"]), None),
        (chosen("occluded", from_name="else"), None),
        (chosen("occluded", type="taxonomy"), None),
        (chosen("occluded", value=None), None),
        (chosen("occluded", value={"choices": "occluded"}), None),
        ({}, None),
    ],
)
def test_a_result_says_what_its_choice_means(region: dict[str, Any], meaning: str | None) -> None:
    assert CONTROL.meaning(region) == meaning


def made(control: str, *points: Keypoint) -> list[dict[str, Any]]:
    """The regions of a prediction."""
    found = Detection("", 0.0, points, 200, 100, Box(0, 0, 200, 100))
    sent = to_prediction(
        found,
        keypoint_control(control),
        key="k",
        model_version="v",
        default_label=None,
        parents=["box"],
        visibility=visibility_control(control),
    )
    return sent["result"]


NOSE = NamedKeypoint(99.5, 49.5, 0.8, "nose", 0.9, "occluded")


def test_the_visibility_follows_its_point_with_its_id_place_and_parent() -> None:
    point, seen = made(config(BOTH), NOSE)
    assert seen == {
        **{name: value for name, value in point.items() if name != "score"},
        "from_name": "seen",
        "type": "choices",
        "value": {"x": 50.0, "y": 50.0, "width": 0.6, "choices": ["occluded"]},
    }
    assert seen["parentID"] == "box"


@pytest.mark.parametrize(
    ("text", "point"),
    [
        (config('<Choice value="hidden"/>'), NamedKeypoint(1, 1, 0.8, "nose", 0.9, "visible")),
        (config(BOTH), NamedKeypoint(1, 1, 0.8, "nose", 0.9)),
        (config(BOTH), Keypoint(1, 1, 0.8, "nose")),
        (config(BOTH, 'perRegion="true" whenLabelValue="tail"'), NOSE),
        (f"<View>{POINTS}</View>", NOSE),
    ],
)
def test_without_a_choice_for_it_a_point_stands_alone(text: str, point: Keypoint) -> None:
    assert [each["type"] for each in made(text, point)] == ["keypointlabels"]


@pytest.mark.parametrize("labels", ["nose", "tail,nose"])
def test_a_control_for_some_labels_gets_the_visibility_of_these(labels: str) -> None:
    text = config(BOTH, f'perRegion="true" whenLabelValue="{labels}"')
    assert [each["type"] for each in made(text, NOSE)] == ["keypointlabels", "choices"]


@given(st.sampled_from(sorted(WORDS)), st.sampled_from(("visible", "occluded")), st.booleans())
def test_what_is_suggested_is_read_as_it_was_meant(word: str, said: Any, named: bool) -> None:
    text = config(f'<Choice value="visible"/><Choice value="{word}"/>')
    control = visibility_control(text)
    if control is None:
        assert WORDS[word] == "visible"
        return
    point = NamedKeypoint(1, 1, 0.8, "nose", 0.9, said if named else None)
    results = made(text, point)
    assert [control.meaning(each) for each in results[1:]] == ([said] if named else [])
