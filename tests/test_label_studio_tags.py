"""What docs/label-studio.md says about each tag of a configuration is what happens."""

import pytest
from flask.testing import FlaskClient
from label_studio_fake import UID
from label_studio_tags import DOCUMENT, OTHER_REGIONS, ROWS, WHAT, Row, table

from backend.labelstudio.label_config import keypoint_control
from backend.verdicts.drawn import Shown, read_regions
from model.keypoint import Box
from studies.marked_section import around


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.tag)
def test_a_tag_is_treated_as_the_document_says(row: Row, client: FlaskClient) -> None:
    config = f"<View>{row.config}</View>"
    body = {"project": UID, "schema": config, "hostname": "http://127.0.0.1:8080"}
    answer = client.post("/setup", json=body)
    assert answer.status_code == 200
    if row.check is None:
        assert row.refusal in answer.json["error"]
    else:
        assert "error" not in answer.json
        assert row.check(keypoint_control(config))


def test_the_document_has_every_row() -> None:
    before, after = around(DOCUMENT, WHAT)
    assert DOCUMENT.read_text() == f"{before}\n{table()}\n{after}", (
        "run PYTHONPATH=.:tests python tests/label_studio_tags.py"
    )


@pytest.mark.parametrize("tag", OTHER_REGIONS)
def test_regions_of_other_tools_are_counted(tag: str) -> None:
    region = {"id": "a", "to_name": "image", "type": tag.lower(), "value": {}}
    shown = Shown((), 100, 100, Box(0, 0, 100, 100))
    drawn = read_regions([region], shown, "image")
    assert drawn.unused == [f"a region of another tool ({tag.lower()})"]
    assert not drawn.points
