"""The JSON of "Any extra params", as people type it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.project_settings import (
    NO_SETTINGS,
    ExtraParamsError,
    ProjectSettings,
    read_extra_params,
)

ALL = {
    "threshold": 0.25,
    "thresholds": {"wheel": 0.5, "left lamp": 1.0},
    "max_keypoints": 8,
    "keep": 0.4,
    "model": "small-0123456789",
    "suggest": "learnt",
    "tolerance": 0.05,
    "visibility": {"verdeckt": "occluded"},
}


@pytest.mark.parametrize("raw", [None, "", " \n", "{}", {}])
def test_nothing_entered_is_no_settings(raw: Any) -> None:
    found = read_extra_params(raw)
    assert found == NO_SETTINGS
    assert not found.chooses_points
    assert (found.as_json(), str(found)) == ({}, "none")


@pytest.mark.parametrize("raw", [ALL, json.dumps(ALL), f"\n {json.dumps(ALL, indent=2)}\n"])
def test_settings_come_as_text_from_the_dialog_or_as_an_object_from_the_api(raw: Any) -> None:
    found = read_extra_params(raw)
    assert found.as_json() == ALL
    assert ProjectSettings.model_validate(found.as_json()) == found
    assert json.loads(str(found)) == ALL


@pytest.mark.parametrize("name", ["threshold", "thresholds", "max_keypoints", "keep"])
def test_these_settings_choose_points(name: str) -> None:
    assert read_extra_params({name: ALL[name]}).chooses_points


@pytest.mark.parametrize("name", ["model", "suggest", "tolerance", "visibility"])
def test_these_settings_choose_no_points(name: str) -> None:
    assert not read_extra_params({name: ALL[name]}).chooses_points


def test_null_is_as_if_the_key_were_not_there() -> None:
    assert read_extra_params(dict.fromkeys(ALL)) == NO_SETTINGS


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"threshold": 7}, "expected threshold to be a number from 0 to 1, got 7"),
        ({"threshold": -0.1}, "got -0.1"),
        ({"threshold": "0.4"}, 'got "0.4"'),
        ({"threshold": True}, "got true"),
        ({"thresholds": 0.5}, 'such as {"wheel": 0.6}, got 0.5'),
        ({"thresholds": {"wheel": 2}}, 'got {"wheel": 2}'),
        ({"thresholds": {"": 0.5}}, 'got {"": 0.5}'),
        ({"max_keypoints": 0}, 'at least 1, or "none" for no limit, got 0'),
        ({"max_keypoints": 2.5}, "got 2.5"),
        ({"max_keypoints": "all"}, 'got "all"'),
        ({"keep": 0}, "expected keep to be a number above 0 and at most 1, got 0"),
        ({"model": ""}, 'expected model to be the version of a model, or "deployment", got ""'),
        ({"model": "a\nb"}, r'got "a\nb"'),
        ({"suggest": "maybe"}, 'expected suggest to be "always", "worthwhile" or "learnt"'),
        ({"tolerance": 1.5}, "expected tolerance to be a number above 0 and at most 1, got 1.5"),
        ({"visibility": {"a": "seen"}}, 'choices with "visible" or "occluded", such as'),
    ],
)
def test_a_value_out_of_range_is_refused_with_what_was_expected(
    settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ExtraParamsError) as caught:
        read_extra_params(settings)
    assert expected in str(caught.value)


def test_an_unknown_key_is_refused_with_the_one_that_is_meant_and_all_known_ones() -> None:
    with pytest.raises(ExtraParamsError) as caught:
        read_extra_params('{"treshold": 0.4}')
    assert str(caught.value) == (
        "Extra params: unknown key 'treshold' (did you mean threshold?): the keys are "
        "threshold, thresholds, max_keypoints, keep, model, suggest, tolerance, visibility"
    )


def test_every_mistake_is_listed_once() -> None:
    with pytest.raises(ExtraParamsError) as caught:
        read_extra_params({"threshold": 2, "max_keypoints": 0, "colour": "red"})
    text = str(caught.value)
    for part in ("threshold to be", "max_keypoints to be", "unknown key 'colour'"):
        assert text.count(part) == 1


@pytest.mark.parametrize(
    "raw", ["abc", "[1]", "7", '{"threshold": 0.4', '{"threshold": NaN}', "[object Object]", 7, []]
)
def test_what_is_no_json_object_is_refused_with_an_example(raw: Any) -> None:
    with pytest.raises(ExtraParamsError, match=r'expected JSON such as \{"threshold": 0.4'):
        read_extra_params(raw)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(ExtraParamsError, match="got inf"):
        read_extra_params('{"threshold": 1e999}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON | st.dictionaries(st.sampled_from(sorted(ALL)), JSON))
def test_whatever_comes_is_read_or_refused_in_one_line(raw: Any) -> None:
    try:
        read_extra_params(raw)
    except ExtraParamsError as error:
        assert str(error).isprintable()
