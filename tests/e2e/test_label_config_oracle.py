"""Our reading of labelling configurations, against that of Label Studio's own SDK.

The SDK pins other versions of numpy and OpenCV than we do: it runs in the environment of Label
Studio.
"""

import json
import random
import subprocess
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from serving import LABEL_STUDIO

from backend.labelstudio.class_controls import class_controls
from backend.labelstudio.label_config import keypoint_control

# Reads a JSON list of configurations on standard input; prints what the SDK says of each.
READER = """
import json, sys
from label_studio_sdk.label_interface import LabelInterface

found = []
for config in json.load(sys.stdin):
    interface = LabelInterface(config)
    fields = {each.name: each.value_name for each in interface.objects if each.tag == "Image"}
    found.append([
        {
            "tag": each.tag,
            "name": each.name,
            "image": each.to_name[0],
            "field": fields.get(each.to_name[0]),
            "labels": list(each.labels or []),
        }
        for each in interface.controls
    ])
json.dump(found, sys.stdout)
"""
NAMES = ("eye", "left wing", "Rad & Reifen", "<tip>", "嘴", "été", "nose")


def configuration(draw: random.Random) -> str:
    """Draw a configuration as annotation teams write them: one or two images, several controls."""
    images = [f"img{number}" for number in range(draw.randint(1, 2))]
    parts = [f'<Image name="{name}" value="$field_{name}"/>' for name in images]
    for number in range(draw.randint(1, 3)):
        kind, inner = draw.choice([("KeyPointLabels", "Label"), ("Choices", "Choice")])
        if number == 0:
            kind, inner = "KeyPointLabels", "Label"
        labels = "".join(
            f"<{inner} value={quoteattr(name)}"
            + (f" alias={quoteattr(name[:2] + '-alias')}" if draw.random() < 0.3 else "")
            + "/>"
            for name in draw.sample(NAMES, draw.randint(1, 4))
        )
        about = f'name="control{number}" toName="{draw.choice(images)}"'
        control = f"<{kind} {about}>{labels}</{kind}>"
        parts.append(f"<View>{control}</View>" if draw.random() < 0.3 else control)
    draw.shuffle(parts)
    return f"<View>{''.join(parts)}</View>"


@pytest.fixture(scope="module")
def read() -> list[tuple[str, list[dict[str, Any]]]]:
    """Two hundred configurations, each with the controls that the SDK finds in it."""
    draw = random.Random(0)
    configurations = [configuration(draw) for _ in range(200)]
    python = LABEL_STUDIO.parent / "python"
    ended = subprocess.run(
        [str(python), "-c", READER],
        input=json.dumps(configurations),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return list(zip(configurations, json.loads(ended.stdout), strict=True))


def test_the_keypoint_control_is_the_one_that_label_studio_reads(read) -> None:
    for text, controls in read:
        ours = keypoint_control(text)
        first = next(each for each in controls if each["tag"] == "KeyPointLabels")
        assert (ours.from_name, ours.to_name, ours.image_path, sorted(ours.labels)) == (
            first["name"],
            first["image"],
            first["field"],
            sorted(first["labels"]),
        ), text


def test_the_class_controls_are_those_that_label_studio_reads(read) -> None:
    for text, controls in read:
        theirs = [(each["name"], each["field"]) for each in controls if each["tag"] == "Choices"]
        ours = [(each.from_name, each.image_path) for each in class_controls(text)]
        assert ours == theirs, text
    assert any(class_controls(text) for text, _ in read)


def test_the_suggested_class_is_one_that_label_studio_would_store(read) -> None:
    for text, controls in read:
        choices = keypoint_control(text).choices
        on_image = [
            each
            for each in controls
            if each["tag"] == "Choices" and each["image"] == keypoint_control(text).to_name
        ]
        stored = sorted(choices.classes) if choices else None
        assert stored == (sorted(on_image[0]["labels"]) if on_image else None), text
