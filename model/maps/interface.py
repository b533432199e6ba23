"""Input and output of every map.

A map is prepared once for a detector and then computed for many images, so each module of a map
provides a factory: `MapSetup` → `Map`. `model.maps.table` names the factories.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, runtime_checkable

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


class Run(Protocol):
    """A pass of the network over an image.

    Attributes:
        logits: (classes,).
    """

    logits: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class MapInput:
    """Everything that a map is computed from, for each image.

    Attributes:
        pixels: (3, S, S) float32, normalised as in the network's training, on the CPU.
        grey: (S, S), brightness of the same image, 0 to 255.
        predicted: index of the predicted class.
        run: the pass that predicted it, if the map made it; see `ClassifyingMap`.
    """

    pixels: Tensor
    grey: NDArray[np.float64]
    predicted: int
    run: Run | None = None


# Returns (S, S), finite and never negative.
Map = Callable[[MapInput], NDArray[np.float64]]
MapFactory = Callable[[MapSetup], Map]


@runtime_checkable
class ClassifyingMap(Protocol):
    """A map whose own pass of the network also tells the class, so that none is made for it."""

    def run(self, pixels: Tensor) -> Run:
        """Run the network on an image (3, S, S)."""

    def __call__(self, given: MapInput) -> NDArray[np.float64]:
        """Compute the map, from `given.run` if that is a pass of this map."""


def prepare(row: MapRow, setup: MapSetup) -> Map:
    """Import a map's factory and prepare the map for a detector.

    Raises:
        ValueError: the settings or the network do not suit the map.
    """
    module, _, name = row.factory.partition(":")
    factory: MapFactory = getattr(import_module(module), name)
    return factory(setup)
