"""Rough descriptions of images."""

from dataclasses import replace

import numpy as np
import pytest
from naming_scene import example

from model.naming.descriptor import descriptor
from model.naming.diversity import summary


def turned(features):
    """The features of the mirror image."""
    return replace(features, seen=features.mirrored, mirrored=features.seen)


def test_where_labels_name_sides_an_image_and_its_mirror_image_have_one_description():
    features = example(0).features
    ours = descriptor(features, names_sides=True)
    np.testing.assert_allclose(ours, descriptor(turned(features), names_sides=True), atol=1e-5)
    assert np.linalg.norm(ours) == pytest.approx(1, abs=1e-5)


def test_where_they_do_not_the_two_differ():
    features = example(0).features
    plain = descriptor(features, names_sides=False)
    np.testing.assert_array_equal(plain, summary(features))
    assert plain @ descriptor(turned(features), names_sides=False) < 0.99


def test_similar_images_have_similar_descriptions():
    first, alike, other = (
        descriptor(example(seed, mirrored=mirrored).features, names_sides=False)
        for seed, mirrored in [(0, False), (2, False), (1, True)]
    )
    assert first @ alike > first @ other
