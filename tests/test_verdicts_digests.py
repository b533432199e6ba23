"""Which differences between two sources make another state, and which do not."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.labelstudio.schemas import Annotation
from backend.labelstudio.shapes import read
from backend.verdicts.digests import digest_of

SAMPLES = Path(__file__).parents[2] / "shared/label-studio/samples"
POINT = {
    "id": "d2ebe35157",
    "type": "keypointlabels",
    "value": {"x": 20.35, "y": 38.5, "width": 0.6, "keypointlabels": ["näse"]},
    "score": 1.0,
}
ANNOTATION = {
    "id": 5,
    "task": 2,
    "project": 3,
    "completed_by": 4,
    "lead_time": 12.0,
    "was_cancelled": False,
    "parent_prediction": 7,
    "created_at": "2026-11-22T11:41:58.713713Z",
    "result": [POINT],
}


def digest(**more: Any) -> str:
    return digest_of(read(Annotation, {**ANNOTATION, **more}))


def point(**value: Any) -> list[dict[str, Any]]:
    return [{**POINT, "value": {**POINT["value"], **value}}]


@pytest.mark.parametrize(
    "more",
    [
        {"parent_prediction": None},
        {"completed_by": {"id": 4, "email": "a@b"}},
        {"updated_by": 9},
        {"updated_at": "2026-12-01T00:00:00Z"},
        {"lead_time": 12},
        {"was_cancelled": None},
        {"result": [{**POINT, "score": 1}]},
        {"result": [dict(reversed(POINT.items()))]},
    ],
    ids=str,
)
def test_what_says_the_same_has_the_same_digest(more: dict[str, Any]) -> None:
    assert digest(**more) == digest()


@pytest.mark.parametrize(
    "more",
    [
        {"completed_by": 5},
        {"lead_time": 12.5},
        {"was_cancelled": True},
        {"task": 3},
        {"result": []},
        {"result": None},
        {"result": point(x=20.36)},
        {"result": point(keypointlabels=["nase"])},
        {"result": [{**POINT, "score": True}]},
    ],
    ids=str,
)
def test_what_says_something_else_has_another(more: dict[str, Any]) -> None:
    assert digest(**more) != digest()


def test_whole_numbers_are_equal_however_they_are_written() -> None:
    written = [json.loads(f"[{number}]") for number in ("50", "50.0", "5e1", "-0.0", "0")]
    found = [digest(result=each) for each in written]
    assert len(set(found)) == 2
    assert found[:3] == [found[0]] * 3


def test_no_number_is_the_same_as_its_text_in_a_stored_event() -> None:
    assert digest(result=[float("nan")]) == digest(result=["NaN"])
    assert digest(result=[-float("inf")]) == digest(result=["-Infinity"])


# The next sync of an old database would add every annotation anew if these changed. A new version
# of the digest needs a migration.


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (ANNOTATION, "85bbd1fae70d8765499fca074c4d60f4fdcf1a17f6081ba9dcb2e147012a9ae5"),
        (
            {**ANNOTATION, "lead_time": "NaN", "result": [None, 3, "\ud800"]},
            "fd01093cd350120b1e1f6b20acbc53228b372c42d3e6d024cd90f181b342524a",
        ),
        ({"id": 5, "task": 2}, "7295d6659d723c74b49f2a46a066e75ba6190868feda8742265731f028b00c4b"),
    ],
    ids=["ordinary", "odd values", "almost empty"],
)
def test_digests_stay(raw: dict[str, Any], expected: str) -> None:
    assert digest_of(read(Annotation, raw)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CREATED", "bcd19a33cb5f755848c3703750e74ef268e0a953397ff6d0dd4a97c1c55f9c37"),
        ("CREATED_delete_add", "352c4e250f5783350210e8e8add82fcc17b4957f85bc869eaa747f654a323564"),
        ("CREATED_move", "01f8659dd216195a1a6d2574379f867062bfd0bfe0a870b755a24b5fb9dfd1af"),
        ("UPDATED", "45162419edd2b1a3691a4b8f52c758ec4be0b67406209ff8fb9740f12a5ad829"),
    ],
)
def test_the_digests_of_label_studios_own_annotations_stay(name: str, expected: str) -> None:
    path = SAMPLES / f"webhook_ANNOTATION_{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: Label Studio's own annotations cannot be tried")
    raw = json.loads(path.read_text())["body"]["annotation"]
    assert digest_of(read(Annotation, raw)) == expected
