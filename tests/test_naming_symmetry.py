"""Left and right change places in the mirror."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.naming.symmetry import mirrored_name


@pytest.mark.parametrize(
    ("label", "mirrored"),
    [
        ("left eye", "right eye"),
        ("Right wing", "Left wing"),
        ("EYE LEFT", "EYE RIGHT"),
        ("eye_l", "eye_r"),
        ("R-knee", "L-knee"),
        ("leftEye", "rightEye"),
        ("eyeRight", "eyeLeft"),
        ("front left wheel", "front right wheel"),
        ("beak", "beak"),
        ("bright copyright", "bright copyright"),
        ("p1", "p1"),
    ],
)
def test_the_other_side_is_named(label, mirrored):
    assert mirrored_name(label) == mirrored


@given(st.text(st.sampled_from("lrLR_ -aeftighEY1"), max_size=20))
def test_mirroring_twice_changes_nothing(label):
    assert mirrored_name(mirrored_name(label)) == label
