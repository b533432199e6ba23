"""Input and output of every map.

A map is prepared once for a detector and then computed for many images, so each module of a map
provides a factory: `MapSetup` → `Map`. `model.maps.table` names the factories.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from model.maps.table import MapRow
from model.networks import Classifier
from model.settings import DetectorSettings


@dataclass(frozen=True, slots=True, eq=False)
class MapSetup:
    """Everything that a map is prepared from, once for a detector.

    Attributes:
        classifier: as it was loaded.
        network: the classifier's network on the fastest device; (B, 3, S, S) → (B, classes).
        input_size: side S of the square images, px.
        settings: settings of the detector; a map reads those that concern it.
    """

    classifier: Classifier
    network: nn.Module
    input_size: int
    settings: DetectorSettings


@dataclass(frozen=True, slots=True, eq=False)
class MapInput:
    """Everything that a map is computed from, for each image.

    Attributes:
        pixels: (3, S, S) float32, normalised as in the network's training, on the CPU.
        grey: (S, S), brightness of the same image, 0 to 255.
        predicted: index of the predicted class.
    """

    pixels: Tensor
    grey: NDArray[np.float64]
    predicted: int


# Returns (S, S), finite and never negative.
Map = Callable[[MapInput], NDArray[np.float64]]
MapFactory = Callable[[MapSetup], Map]


def prepare(row: MapRow, setup: MapSetup) -> Map:
    """Import a map's factory and prepare the map for a detector.

    Raises:
        ValueError: the settings or the network do not suit the map.
    """
    module, _, name = row.factory.partition(":")
    factory: MapFactory = getattr(import_module(module), name)
    return factory(setup)
