"""Typed figures as JSON."""

import json

from backend.agreement.as_json import to_json
from backend.agreement.clustered import WILSON, Estimate
from backend.agreement.group_figures import ByLongerSide, NamedGroup, PckAt, PointCounts
from backend.agreement.landmarks import LandmarkFigures, LandmarkSide
from backend.agreement.scores import ConfusionCell

NOTHING = Estimate(None, None, None, 0, 0, WILSON, reason="no image contributes")


def test_a_dataclass_is_an_object_of_its_fields_in_order():
    text = json.dumps(to_json(Estimate(0.5, None, None, 4, 1, "t", reason="1 of 2 images")))
    assert text == (
        '{"value": 0.5, "low": null, "high": null, "n": 4, "images": 1, "method": "t", '
        '"deff": null, "icc": null, "reason": "1 of 2 images", "left_out": 0}'
    )


def test_figures_within_figures_sequences_and_mappings_are_plain_as_well():
    cell = ConfusionCell("beak", None, 1)
    found = to_json({"a": (cell, "text"), "b": ByLongerSide([1], None)})
    plain = {"suggested": "beak", "final": None, "count": 1}
    assert found == {"a": [plain, "text"], "b": {"image": [1], "object": None}}


def test_some_figures_stand_side_by_side_with_their_name():
    assert to_json(NamedGroup("wren", PointCounts(3, 4, {"accepted": 2}))) == {
        "name": "wren",
        "suggested": 3,
        "judged": 4,
        "accepted": 2,
    }
    assert list(to_json(PckAt(0.05, NOTHING))) == ["alpha", *to_json(NOTHING)]
    side = LandmarkSide(3, NOTHING, NOTHING)
    landmark = to_json(LandmarkFigures("wren", "beak", side, side))
    assert list(landmark) == ["class", "label", "annotated", "found", "lift", "withheld"]
