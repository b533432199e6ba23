"""Drawings as labelled images: what they are called is what they show."""

import numpy as np

from drawings.drawing import draw
from drawings.labelled import FIRST_SERIES, SIZES, labelled_drawings
from drawings.shapes import CLASSES


def test_drawings_are_labelled_with_what_they_show_and_come_in_several_shapes():
    images = labelled_drawings(48, seed=3)
    assert images.labels == CLASSES * 8
    shapes = {images.load(index).shape for index in range(0, 48, 6)}
    assert shapes == {(height, width, 3) for width, height in SIZES}
    assert np.array_equal(images.load(4), draw(4, SIZES[0], seed=FIRST_SERIES + 3).image)


def test_every_class_is_drawn_in_every_shape():
    images = labelled_drawings(6 * len(SIZES))
    seen = {(images.labels[index], images.load(index).shape) for index in range(len(images.names))}
    assert len(seen) == 6 * len(SIZES)
