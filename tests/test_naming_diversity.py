"""A rough description of an image."""

import numpy as np
import pytest
from naming_scene import example

from model.naming.diversity import summary


def test_similar_images_have_similar_summaries():
    alike = summary(example(0).features) @ summary(example(2).features)
    other = summary(example(0).features) @ summary(example(1, mirrored=True).features)
    assert alike > other
    assert np.linalg.norm(summary(example(0).features)) == pytest.approx(1, abs=1e-5)
