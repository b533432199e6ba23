"""Drawings as labelled images, for training."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drawings.drawing import class_of, draw
from drawings.shapes import CLASSES
from model.learning.labelled_images import LabelledImages
from model.learning.training_settings import FROM_NOTHING

# Width and height of the drawings, px. Photos and boxes have many shapes, and all of them are
# squashed to the same square before a network sees them.
SIZES = ((192, 144), (192, 112), (192, 80), (160, 160))

# Series from this number on serve training alone, so drawings of every lower series are unseen.
FIRST_SERIES = 1_000_000

# Drawings are many and vary by themselves: training takes about a minute on two cores.
SETTINGS = replace(FROM_NOTHING, epochs=9, augmentation=0.3, validation_share=0.1)


def labelled_drawings(count: int, *, seed: int = 0) -> LabelledImages:
    """Return the first `count` drawings of a training series, in several shapes.

    Args:
        count: number of drawings; the classes take turns. Each is drawn when it is loaded.
        seed: chooses the series; another seed gives other drawings.
    """
    series = FIRST_SERIES + seed

    def load(index: int) -> NDArray[np.uint8]:
        size = SIZES[index // len(CLASSES) % len(SIZES)]
        return draw(index, size, seed=series).image

    names = tuple(f"drawing {index} of series {series}" for index in range(count))
    return LabelledImages(names, tuple(class_of(index) for index in range(count)), load)
