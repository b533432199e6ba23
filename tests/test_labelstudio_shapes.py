import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from backend.labelstudio.shapes import (
    Flag,
    Id,
    IdOrObject,
    Moment,
    OrNone,
    Seconds,
    Shape,
    ShapeError,
    Text,
    describe,
    one_or_many,
    read,
    read_or_none,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Example(Shape):
    """A value that is relied on, and others that may be missing."""

    id: Id = Field(description="a whole number")
    name: Text = Field("", alias="title", description="text")
    moment: OrNone[Moment] = None
    seconds: OrNone[Seconds] = None
    user: OrNone[IdOrObject] = None
    flag: Flag = False


def example(**fields: Any) -> Example:
    return read(Example, {"id": 1, **fields})


@pytest.mark.parametrize("value", ["3", True, 3.0, 2**63, -(2**63), None, [], {}])
def test_an_id_is_never_read_from_anything_but_a_number_of_64_bits(value: object) -> None:
    with pytest.raises(ShapeError, match="expected a whole number in 'id', got") as caught:
        read(Example, {"id": value})
    assert caught.value.field == "id"


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, 1 - 2**63])
def test_an_id_of_64_bits_is_read(value: int) -> None:
    assert read(Example, {"id": value}).id == value


@pytest.mark.parametrize("value", [1, None, [], "a\0b", "\udfff", "a\ud800b"])
def test_text_that_some_database_refuses_is_refused(value: object) -> None:
    with pytest.raises(ShapeError, match="expected text in 'title', got"):
        example(title=value)


def test_a_missing_field_is_reported_as_missing() -> None:
    with pytest.raises(ShapeError, match="in 'id', got nothing"):
        read(Example, {"title": 5})


@pytest.mark.parametrize("value", [None, 3, [], "text", True])
def test_what_is_no_object_is_refused_as_a_whole(value: object) -> None:
    with pytest.raises(ShapeError, match="expected a JSON object, got") as caught:
        read(Example, value)
    assert caught.value.field is None
    assert read_or_none(Example, value) is None


def test_unknown_fields_are_ignored() -> None:
    assert example(**{"other": {"deep": [1]}, "\ud800": 2}) == example()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T11:41:58.713713Z", datetime(2026, 11, 22, 11, 41, 58, 713713, UTC)),
        ("2026-11-22T11:41:58", datetime(2026, 11, 22, 11, 41, 58, tzinfo=UTC)),
        ("2026-11-22T11:41:58+02:00", datetime(2026, 11, 22, 9, 41, 58, tzinfo=UTC)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("0001-01-01T00:00:00+10:00", None),
        ("9999-12-31T23:59:59-10:00", None),
        ("2026-13-01", None),
        ("\ud800", None),
        ("", None),
        (1795347718, None),
    ],
)
def test_a_moment_is_an_iso_time_in_utc(text: object, moment: datetime | None) -> None:
    assert example(moment=text).moment == moment


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (12.5, 12.5),
        (3, 3.0),
        (0, 0.0),
        (-1, None),
        (True, None),
        ("3", None),
        ("NaN", None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
    ],
)
def test_seconds_are_finite_and_not_negative(value: object, seconds: float | None) -> None:
    assert example(seconds=value).seconds == seconds


@pytest.mark.parametrize(
    ("value", "user"), [(4, 4), ({"id": 4, "email": "a"}, 4), ({}, None), ("4", None), ([4], None)]
)
def test_a_user_is_an_id_or_an_object_with_one(value: object, user: int | None) -> None:
    assert example(user=value).user == user


@pytest.mark.parametrize("value", [None, 1, "true", [], {}])
def test_a_flag_that_is_malformed_is_not_set(value: object) -> None:
    assert example(flag=value).flag is False
    assert example(flag=True).flag is True


@pytest.mark.parametrize(
    ("value", "members"), [(None, []), ([], []), ([1, 2], [1, 2]), ({"a": 1}, [{"a": 1}]), (3, [3])]
)
def test_one_or_many_is_a_list(value: object, members: list[object]) -> None:
    assert one_or_many(value) == members


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "an object"),
        ([], "a list"),
        (False, "true or false"),
        (None, "null"),
        (3, "3"),
        ("ä\n", r"'\xe4\n'"),
        ("x" * 1000, "'" + "x" * 59 + "..."),
    ],
)
def test_a_value_is_described_shortly_and_in_ascii(value: object, said: str) -> None:
    assert describe(value) == said


fields = st.sampled_from(["id", "title", "moment", "seconds", "user", "flag", "other"])


@given(json_values | st.dictionaries(fields, json_values))
def test_arbitrary_json_is_read_or_refused_and_never_changed(value: Any) -> None:
    before = json.dumps(value)
    try:
        found: Example | None = read(Example, value)
    except ShapeError as error:
        assert str(error).startswith("expected")
        found = None
    assert found == read_or_none(Example, value)
    assert json.dumps(value) == before
