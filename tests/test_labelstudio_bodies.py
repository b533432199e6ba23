import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.bodies import DEEPEST, BodyError, read_object


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "0 bytes"),
        (b"{", "line 1 column 2"),
        (b'{"a": 1,}', "line 1 column 9"),
        (b"\xff\xfe", "JSON"),
        (b"[]", "a list"),
        (b"null", "null"),
        (b"3", "got 3"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "1e999"),
        (b"[" * 100_000, "JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "JSON"),
        (b'{"a": ' + b"[" * DEEPEST + b"]" * DEEPEST + b"}", f"nested at most {DEEPEST} deep"),
    ],
)
def test_what_is_no_json_object_is_refused_with_the_reason(raw: bytes, said: str) -> None:
    with pytest.raises(BodyError, match="expected") as caught:
        read_object(raw)
    assert said in str(caught.value)


def test_a_long_body_is_not_repeated_in_the_error() -> None:
    with pytest.raises(BodyError) as caught:
        read_object(b"rubbish " * 10_000)
    assert len(str(caught.value)) < 300


def test_events_may_hold_numbers_that_json_does_not_allow() -> None:
    found = read_object(b'{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}', odd_numbers=True)
    assert found == {"a": "NaN", "b": "-Infinity", "c": "1e999", "d": 1.5}


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False, allow_infinity=False)))
def test_every_json_object_is_read(body: dict[str, Any]) -> None:
    assert read_object(json.dumps(body).encode()) == body
