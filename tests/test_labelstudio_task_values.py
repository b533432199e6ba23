"""Values in a task's data, as Label Studio's front end reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.task_values import data_with, path_of, value_at

DATA = {
    "image": "a.png",
    "images": ["b.png", "c.png"],
    "meta": {"image": "d.png", "pages": [{"url": "e.png"}]},
    "2": "f.png",
    "x.y": "g.png",
    "x": {"y": "never"},
    "größe": "h.png",
}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("$image", "a.png"),
        ("$images[0]", "b.png"),
        ("$images[1]", "c.png"),
        ("$images.1", "c.png"),
        ("$images[2]", None),
        ("$images[first]", None),
        ("$meta.image", "d.png"),
        ("$meta.pages[0].url", "e.png"),
        ("$meta.pages[0].url.more", None),
        ("$x.y", "g.png"),
        ("$größe", "h.png"),
        ("$none", None),
        ("$none[0].url", None),
    ],
)
def test_a_path_is_followed_through_objects_and_lists(value, found):
    path = path_of(value)
    assert path is not None
    assert value_at(DATA, path) == found


@pytest.mark.parametrize(
    "value", ["image", "$", "$a b", "https://host/$image", "$a[", "$a..b", "$a[-1]", "$[0]", "$0"]
)
def test_what_is_no_path_is_none(value):
    assert path_of(value) is None


steps = st.one_of(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.integers(0, 3).map(str))


@given(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.lists(steps, max_size=4))
def test_data_can_be_made_in_which_a_path_leads_to_a_value(first, more):
    path = first + "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in more)
    assert path_of(f"${path}") == path
    assert value_at(data_with(path, "a.png"), path) == "a.png"
