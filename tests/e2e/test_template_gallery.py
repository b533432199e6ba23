"""Label Studio's own templates, and variations of the one with keypoints, from /setup to its SDK.

The SDK pins other versions of numpy than we do, so it runs in the environment of Label Studio.
"""

import json
import re
import subprocess
from functools import cache
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_fake import UID
from label_studio_tags import table
from serving import LABEL_STUDIO

from backend.labelstudio.config_tags import LabelConfigError
from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.regions import to_prediction
from model.keypoint import Box, Detection, Keypoint

PYTHON = LABEL_STUDIO.parent / "python"
# Prints [[title, configuration], ...] of all templates.
GALLERY = """
import json, pathlib, yaml
import label_studio

folder = pathlib.Path(label_studio.__file__).parent / "annotation_templates"
found = []
for path in sorted(folder.rglob("config.yml")):
    template = yaml.safe_load(path.read_text())
    if template and template.get("config"):
        found.append([template["title"], template["config"]])
print(json.dumps(found))
"""
# Reads [[configuration, prediction], ...]; prints the errors of each.
VALIDATE = """
import json, sys
from label_studio_sdk.label_interface import LabelInterface

errors = []
for config, prediction in json.load(sys.stdin):
    interface = LabelInterface(config)
    interface.validate()
    errors.append(interface.validate_prediction(prediction, return_errors=True))
json.dump(errors, sys.stdout)
"""


def in_label_studio(program: str, *, given: object = None) -> Any:
    ended = subprocess.run(
        [str(PYTHON), "-c", program],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@cache
def gallery() -> list[tuple[str, str]]:
    return [(title, config) for title, config in in_label_studio(GALLERY)]


def set_up(client: FlaskClient, config: str) -> dict[str, Any]:
    body = {"project": UID, "schema": config, "hostname": "http://127.0.0.1:8080"}
    answer = client.post("/setup", json=body)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json
    return found


def prediction_for(config: str) -> dict[str, Any]:
    """A prediction with a class and three points."""
    control = keypoint_control(config)
    classes = control.choices.classes if control.choices else ()
    points = tuple(
        Keypoint(10.0 * place, 20.0, 0.9, label)
        for place, label in enumerate([*control.labels[:2], "unknown"])
    )
    detection = Detection((*classes, "van")[0], 0.8, points, 100, 100, Box(0, 0, 100, 100))
    return dict(to_prediction(detection, control, key="k", model_version="v", default_label=None))


def test_every_template_is_accepted_or_told_what_it_lacks(client: FlaskClient) -> None:
    templates = gallery()
    assert len(templates) > 50
    accepted = []
    for title, config in templates:
        answer = set_up(client, config)
        if "error" not in answer:
            accepted.append((title, config))
            continue
        assert answer["error"].startswith("expected"), title
        has_points = re.search(r"<KeyPoint(Labels)?\b", config)
        assert not has_points, f"{title}: {answer['error']}"
        with pytest.raises(LabelConfigError):
            keypoint_control(config)
    assert [title for title, _ in accepted] == ["Keypoint Labeling"]
    made = [(config, prediction_for(config)) for _, config in accepted]
    assert in_label_studio(VALIDATE, given=made) == [[]]


NAMES = st.text("aé嘴 -&<'\"", min_size=1, max_size=6).map(str.strip).filter(bool)
LABELS = st.lists(NAMES, min_size=1, max_size=4, unique=True)


@st.composite
def variations(draw: st.DrawFn) -> str:
    """The template for keypoints as teams change it."""
    labels = "".join(
        f"<Label value={quoteattr(name)}"
        + (f" alias={quoteattr(name + 'x')}" if draw(st.booleans()) else "")
        + (' maxUsages="1"' if draw(st.booleans()) else "")
        + "/>"
        for name in draw(LABELS)
    )
    image, control = (draw(st.sampled_from(["img-1", "photo", "p_1"])) for _ in range(2))
    field = draw(st.sampled_from(["$img", "$image.url", "$images[0]"]))
    parts = [
        f'<Image name="{image}" value="{field}" zoom="true"/>',
        f'<KeyPointLabels name="k{control}" toName="{image}">{labels}</KeyPointLabels>',
    ]
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["Choices", "Taxonomy"]))
        choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in draw(LABELS))
        parts.append(f'<{kind} name="class" toName="{image}">{choices}</{kind}>')
    if draw(st.booleans()):
        parts.append(f'<RectangleLabels name="box" toName="{image}">{labels}</RectangleLabels>')
    if draw(st.booleans()):
        parts.append(f'<TextArea name="note" toName="{image}"/><Header value="Points"/>')
    ordered = draw(st.permutations(parts))
    return f"<View>{''.join(ordered)}</View>"


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(variations(), min_size=1, max_size=10))
def test_variations_of_the_template_get_predictions_that_the_sdk_accepts(
    client: FlaskClient, configs: list[str]
) -> None:
    for config in configs:
        assert "error" not in set_up(client, config), config
    made = [(config, prediction_for(config)) for config in configs]
    assert in_label_studio(VALIDATE, given=made) == [[]] * len(configs), configs


def test_the_document_names_every_tag_that_the_editor_knows() -> None:
    scripts = (PYTHON.parents[1] / "lib").rglob("web/dist/apps/labelstudio/*.js")
    known = {
        name
        for path in scripts
        for name in re.findall(r'addTag\("(\w+)"', path.read_text(errors="replace"))
        if not name.endswith("region")
    }
    assert "keypointlabels" in known
    documented = {name.lower() for name in re.findall(r"\w+", table())}
    assert known - documented == set()
