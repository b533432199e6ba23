import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.class_controls import ClassControl, Option
from backend.labelstudio.label_config import (
    KeypointControl,
    LabelConfigError,
    keypoint_control,
    prompt_only_controls,
    unserved_images,
)

IMAGE = '<Image name="image" value="$image"/>'
SAMPLE = Path(__file__).parents[2] / "shared" / "label-studio" / "samples" / "predict.json"


def view(*parts: str) -> str:
    return f"<View>{''.join(parts)}</View>"


def keypoints(*labels: str, name: str = "kp", to_name: str = "image") -> str:
    inside = "".join(f'<Label value="{label}"/>' for label in labels)
    return f'<KeyPointLabels name="{name}" toName="{to_name}">{inside}</KeyPointLabels>'


def choices(*values: str, to_name: str = "image", more: str = "") -> str:
    inside = "".join(f'<Choice value="{value}"/>' for value in values)
    return f'<Choices name="class" toName="{to_name}" {more}>{inside}</Choices>'


def class_control(name: str, *values: str) -> ClassControl:
    options = tuple(Option((value,), (value,)) for value in values)
    return ClassControl(name, "image", "image", options=options)


def test_the_configuration_that_label_studio_sent_is_read():
    if not SAMPLE.exists():
        pytest.skip(f"captured requests are not at {SAMPLE}")
    sent = json.loads(SAMPLE.read_text())["body"]["label_config"]
    assert keypoint_control(sent) == KeypointControl(
        from_name="kp",
        to_name="image",
        image_path="image",
        labels=("nose", "left_ear", "right_ear"),
        choices=class_control("quality", "good", "bad"),
    )


def test_label_studios_own_template_is_read():
    control = keypoint_control(
        """
        <View>
          <KeyPointLabels name="kp-1" toName="img-1">
            <Label value="Face" background="red" />
            <Label value="Nose" background="green" />
          </KeyPointLabels>
          <Image name="img-1" value="$img" />
        </View>
        """
    )
    assert control == KeypointControl("kp-1", "img-1", "img", ("Face", "Nose"), None)


def test_controls_are_found_however_deep_in_views():
    control = keypoint_control(
        view(
            "<!-- a note --><Style>.a { color: red }</Style>",
            '<View style="display:flex"><Header value="Look"/>',
            f'<View className="a">{IMAGE}</View>',
            '<View><Filter toName="kp" name="filter"/>',
            '<KeyPointLabels name="kp" toName="image" smart="true">'
            '<View><Header value="Parts"/><Label value="hub" hotkey="1" background="#f00"/></View>'
            '<Label value="lamp" hotkey="ctrl+2"/></KeyPointLabels></View></View>',
        )
    )
    assert control.labels == ("hub", "lamp")


def test_keypoints_go_to_their_own_image_among_several():
    control = keypoint_control(
        view(
            '<Image name="before" value="$first"/><Image name="after" value="$second"/>',
            keypoints("hub", to_name="after"),
            choices("car", to_name="before"),
        )
    )
    assert (control.to_name, control.image_path, control.choices) == ("after", "second", None)


def test_a_control_of_several_objects_counts_for_its_image():
    control = keypoint_control(
        view('<Text name="text" value="$t"/>', IMAGE, keypoints("hub", to_name="text,image"))
    )
    assert control.to_name == "image"


def test_the_first_control_on_an_image_is_taken():
    control = keypoint_control(
        view(
            '<Video name="film" value="$film"/>',
            IMAGE,
            keypoints("a", name="film-points", to_name="film"),
            keypoints("b", name="first"),
            keypoints("c", name="second"),
        )
    )
    assert control.from_name == "first"


def test_results_hold_the_alias_and_the_class_is_found_by_value_or_alias():
    """Label Studio's front end stores `alias` where there is one, else `value`."""
    control = keypoint_control(
        view(
            IMAGE,
            '<KeyPointLabels name="kp" toName="image">'
            '<Label value="Saloon car" alias="saloon"/><Label value="bus"/></KeyPointLabels>',
            '<Choices name="class" toName="image"><Choice value="Bus" alias="b"/></Choices>',
        )
    )
    assert control.labels == ("saloon", "bus")
    assert control.label("Saloon car", None) == "saloon"
    assert control.label("saloon", None) == "saloon"
    assert control.choices is not None
    assert control.choices.classes == ("b",)
    assert control.choices.path("bus") == ("b",)


def test_the_label_is_the_class_then_the_default_then_the_first():
    control = keypoint_control(view(IMAGE, keypoints("keypoint", "bus", "other")))
    assert control.label("bus", "other") == "bus"
    assert control.label("Bus", "other") == "bus"
    assert control.label("van", "other") == "other"
    assert control.label("van", "unknown") == "keypoint"
    assert control.label("van", None) == "keypoint"


def test_a_label_of_the_same_spelling_wins_over_one_that_differs_in_case():
    control = keypoint_control(view(IMAGE, keypoints("Bus", "bus")))
    assert control.label("bus", None) == "bus"


@pytest.mark.parametrize("more", ['perRegion="true"', 'perItem="true"'])
def test_choices_that_are_not_for_the_whole_image_are_left_alone(more: str):
    control = keypoint_control(view(IMAGE, keypoints("hub"), choices("car", more=more)))
    assert control.choices is None


def test_a_keypoint_tag_is_paired_with_the_labels_of_its_image():
    control = keypoint_control(
        view(
            IMAGE,
            '<KeyPoint name="kp" toName="image"/>',
            '<Labels name="names" toName="image"><Label value="hub"/></Labels>',
        )
    )
    assert (control.plain, control.labels_from_name, control.labels) == (True, "names", ("hub",))


def test_a_keypoint_tag_without_labels_is_enough():
    control = keypoint_control(view(IMAGE, '<KeyPoint name="kp" toName="image"/>'))
    assert (control.plain, control.labels_from_name, control.labels) == (True, None, ())
    assert control.label("bus", "other") is None


def test_a_control_with_labels_of_its_own_is_preferred():
    plain = '<KeyPoint name="plain" toName="image"/>'
    assert keypoint_control(view(IMAGE, plain, keypoints("hub"))).from_name == "kp"


def test_a_configuration_without_keypoints_says_what_to_add():
    config = view(
        '<Image name="photo" value="$image"/>',
        '<RectangleLabels name="box" toName="photo"><Label value="car"/></RectangleLabels>',
    )
    with pytest.raises(LabelConfigError) as caught:
        keypoint_control(config)
    message = str(caught.value)
    assert "got <RectangleLabels>" in message
    added = message[message.index("<KeyPointLabels") :]
    assert keypoint_control(config.replace("</View>", f"{added}</View>")).to_name == "photo"


def test_a_configuration_without_an_image_says_what_to_add():
    with pytest.raises(LabelConfigError, match="no <Image>") as caught:
        keypoint_control(view('<Text name="text" value="$text"/>'))
    message = str(caught.value)
    assert keypoint_control(view(message[message.index("<Image name=") :])).to_name == "image"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (view(IMAGE, keypoints()), "at least one <Label"),
        (view(IMAGE, keypoints("hub", to_name="other")), "expected a control for keypoints"),
        (view(IMAGE, '<KeyPointLabels name="kp"><Label value="a"/></KeyPointLabels>'), "a control"),
        (view('<Image value="$image"/>', keypoints("hub", to_name="")), "no <Image>"),
        (view('<Image name="image" value="$a b"/>', keypoints("hub")), "FIELD"),
        (view('<Image name="image" value="https://host/$name"/>', keypoints("hub")), "FIELD"),
        (view('<Image name="image" valueList="$all"/>', keypoints("hub")), "one picture a task"),
        ("", "in XML"),
        ("<View>", "in XML"),
        ("<View></View", "in XML"),
        ("{}", "in XML"),
        ("\ud800", "in XML"),
    ],
)
def test_an_unusable_configuration_is_refused_with_a_reason(config: str, says: str):
    with pytest.raises(LabelConfigError, match=says):
        keypoint_control(config)


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
    ],
)
def test_document_types_and_entities_are_refused(prologue: str):
    with pytest.raises(LabelConfigError, match="DOCTYPE"):
        keypoint_control(prologue + view(IMAGE, keypoints("&secret;")))


@given(st.text(max_size=200))
def test_any_text_at_all_is_read_or_refused(text: str):
    with pytest.raises(LabelConfigError):
        keypoint_control(text)


def test_the_limits_of_labels_are_read() -> None:
    control = keypoint_control(
        '<View><Image name="image" value="$image"/>'
        '<KeyPointLabels name="kp" toName="image" maxUsages="4"><Label value="nose" maxUsages="1"/>'
        '<Label value="ear" alias="e"/></KeyPointLabels></View>'
    )
    assert control.max_usages == (("nose", 1), ("e", 4))


@pytest.mark.parametrize("path", ["image", "images[0]", "meta.image", "pages[1].views.left"])
def test_an_image_may_be_anywhere_in_the_data_of_a_task(path: str):
    config = view(f'<Image name="image" value="${path}"/>', keypoints("hub"))
    assert keypoint_control(config).image_path == path


SMART_ONLY = '<KeyPointLabels name="prompt" toName="image" smart="true" smartOnly="true">'
KEYPOINTS = '<Label value="nose"/></KeyPointLabels>'


@pytest.mark.parametrize(
    "ordinary",
    [
        f'<KeyPointLabels name="kp" toName="image">{KEYPOINTS}',
        f'<KeyPointLabels name="kp" toName="image" smart="true">{KEYPOINTS}',
        '<KeyPoint name="kp" toName="image"/>',
    ],
)
def test_a_control_for_prompts_alone_receives_no_suggestions(ordinary: str) -> None:
    """Label Studio offers no other tool for it."""
    image = '<Image name="image" value="$image"/>'
    prompt = SMART_ONLY + KEYPOINTS
    for controls in (prompt + ordinary, ordinary + prompt):
        assert keypoint_control(f"<View>{image}{controls}</View>").from_name == "kp"
    assert keypoint_control(f"<View>{image}{prompt}</View>").from_name == "prompt"


@pytest.mark.parametrize("limit", ["0", "two", ""])
def test_what_is_no_number_of_usages_is_no_limit(limit: str) -> None:
    """As in the editor, which also takes 0 for none."""
    config = (
        '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
        f'<Label value="nose" maxUsages="{limit}"/></KeyPointLabels></View>'
    )
    assert keypoint_control(config).max_usages == ()


def test_a_label_may_have_no_limit_where_the_control_has_one() -> None:
    config = (
        '<View><Image name="image" value="$image"/>'
        '<KeyPointLabels name="kp" toName="image" maxUsages="2">'
        '<Label value="nose" maxUsages="0"/><Label value="tail"/></KeyPointLabels></View>'
    )
    assert keypoint_control(config).max_usages == (("tail", 2),)


def test_controls_for_prompts_alone_are_told_apart():
    config = (
        '<View><Image name="image" value="$image"/><KeyPointLabels name="ask" toName="image" '
        'smart="true" smartOnly="true"><Label value="a"/></KeyPointLabels><Rectangle name="box" '
        'toName="image" smartonly="true"/><KeyPointLabels name="kp" toName="image" '
        'smartOnly="false"><Label value="a"/></KeyPointLabels></View>'
    )
    assert prompt_only_controls(config) == {"ask", "box"}


LISTED = '<KeyPointLabels name="kp" toName="image" value="$meta.labels" maxUsages="2"/>'


def test_labels_from_the_data_of_a_task_follow_those_of_the_configuration():
    control = keypoint_control(
        view(IMAGE, LISTED.replace("/>", '><Label value="tip"/></KeyPointLabels>'))
    )
    assert (control.labels, control.labels_path, control.data_paths) == (
        ("tip",),
        "meta.labels",
        ("meta.labels",),
    )
    items = [{"value": "Left wing", "alias": "wing"}, {"value": "tip"}, {"value": 3}, "beak", None]
    found = control.with_data({"meta": {"labels": items}})
    assert found.labels == ("tip", "wing")
    assert found.find_label("left wing") == "wing"
    assert found.max_usages == (("tip", 2), ("wing", 2))


@pytest.mark.parametrize("data", [{}, {"meta": None}, {"meta": {"labels": {"value": "x"}}}])
def test_a_task_may_list_no_labels(data: dict[str, object]):
    control = keypoint_control(view(IMAGE, LISTED)).with_data(data)
    assert control.labels == ()


def test_labels_beside_a_keypoint_tag_may_come_from_the_data_of_a_task():
    control = keypoint_control(
        view(
            IMAGE,
            '<KeyPoint name="kp" toName="image"/><Labels name="n" toName="image" value="$l"/>',
        )
    )
    assert (control.labels_from_name, control.labels_path) == ("n", "l")


def test_a_control_without_any_labels_says_where_they_may_come_from():
    with pytest.raises(LabelConfigError, match=r'value="\$FIELD"'):
        keypoint_control(view(IMAGE, '<KeyPointLabels name="kp" toName="image"/>'))


def two_images(*controls: str) -> str:
    return view(
        '<Image name="left" value="$left"/><Image name="right" value="$r[0].url"/>', *controls
    )


def on(image: str, *attributes: str, name: str = "") -> str:
    return (
        f'<KeyPointLabels name="{name or f"on-{image}"}" toName="{image}" {" ".join(attributes)}>'
        f'<Label value="{image} eye"/></KeyPointLabels>'
    )


def test_each_image_has_the_first_control_on_it() -> None:
    config = two_images(on("right"), on("left"), on("right", name="second"), choices("cat"))
    control = keypoint_control(config.replace('toName="image"', 'toName="left"'))
    found = [(each.from_name, each.to_name, each.image_path) for each in control.of_images]
    assert found == [("on-right", "right", "r[0].url"), ("on-left", "left", "left")]
    assert [each.labels for each in control.of_images] == [("right eye",), ("left eye",)]
    assert [each.choices is not None for each in control.of_images] == [False, True]
    assert control.on("left") == control.further[0]
    assert (control.on(None), control.on("third")) == (control, None)


def test_a_control_for_prompts_alone_makes_no_further_image() -> None:
    config = two_images(on("left"), on("right", 'smart="true" smartOnly="true"'))
    assert keypoint_control(config).further == ()
    assert unserved_images(config) == []


def test_a_further_image_whose_control_cannot_be_used_leaves_the_first_its_suggestions() -> None:
    config = two_images(on("left"), on("right")).replace('value="$r[0].url"', 'valueList="$r"')
    assert keypoint_control(config).further == ()
    [problem] = unserved_images(config)
    assert "'right' gets no suggestions" in problem and "valueList" in problem


def test_labels_of_the_data_reach_further_images() -> None:
    config = two_images(on("left"), on("right", 'value="$labels"'))
    control = keypoint_control(config)
    assert control.data_paths == ("labels",)
    [right] = control.with_data({"labels": [{"value": "ear"}]}).further
    assert right.labels == ("right eye", "ear")
