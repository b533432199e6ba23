"""Typed figures as JSON."""

import json

from backend.agreement.as_json import to_json
from backend.agreement.group_figures import ByLongerSide, NamedGroup, PckAt, PointCounts
from backend.agreement.intervals import NOTHING, Estimate
from backend.agreement.landmarks import LandmarkFigures


def test_a_dataclass_is_an_object_of_its_fields_in_order():
    text = json.dumps(to_json(Estimate(0.5, None, 0.75, 4)))
    assert text == '{"value": 0.5, "low": null, "high": 0.75, "n": 4}'


def test_figures_within_figures_sequences_and_mappings_are_plain_as_well():
    estimate = Estimate(1.0, None, None, 1)
    found = to_json({"a": (estimate, "text"), "b": ByLongerSide([1], None)})
    plain = {"value": 1.0, "low": None, "high": None, "n": 1}
    assert found == {"a": [plain, "text"], "b": {"image": [1], "object": None}}


def test_some_figures_stand_side_by_side_with_their_name():
    assert to_json(NamedGroup("wren", PointCounts(3, {"accepted": 2}))) == {
        "name": "wren",
        "suggested": 3,
        "accepted": 2,
    }
    assert list(to_json(PckAt(0.05, NOTHING))) == ["alpha", "value", "low", "high", "n"]
    landmark = to_json(LandmarkFigures("wren", "beak", 3, NOTHING, NOTHING))
    assert list(landmark) == ["class", "label", "annotated", "found", "lift"]
