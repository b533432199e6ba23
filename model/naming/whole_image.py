"""Where no box is given: find the object in the whole image, then name its landmarks close up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.keypoint import Box
from model.naming.evidence import FIGURES, find
from model.naming.features import ExampleFeatures
from model.naming.grid import is_known
from model.naming.learner import NamedPoint, NamingModel, expect_key
from model.naming.object_box import object_box

# Landmarks bound the object if they are visible in this share of the votes of the layouts.
SEEN = 0.5


def coarsened(features: ExampleFeatures) -> ExampleFeatures:
    """Return features on a grid of half as many cells along each side: enough to find an object.

    They take a quarter of the space.
    """
    return replace(features, seen=_halved(features.seen), mirrored=_halved(features.mirrored))


def _halved(values: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return (g/2, g/2, D) means of 2 × 2 cells of (g, g, D) values."""
    grid, _, dimensions = values.shape
    parts = values.astype(np.float32).reshape(grid // 2, 2, grid // 2, 2, dimensions)
    return np.asarray(parts.mean(axis=(1, 3)), np.float16)


@dataclass(frozen=True, eq=False)
class WholeImageModel:
    """Two models of the same examples.

    Attributes:
        region: learnt from `coarsened` features of whole images; finds the object. Its scores are
            not used: `fit` it with `rehearsed=0`.
        close: learnt from features of the part of each image where the object had been found
            before it was learnt, so that its scores allow for objects that are not found well;
            names the landmarks. Its examples have no `box`: nobody gave one.
    """

    region: NamingModel
    close: NamingModel

    def predict(
        self,
        features: ExampleFeatures,
        look: Callable[[Box], ExampleFeatures],
        given: Mapping[str, tuple[float, float]] | None = None,
    ) -> list[NamedPoint]:
        """Suggest a point for each label, as `NamingModel.predict` does within a box.

        Args:
            features: of the whole image, coarsened.
            look: returns the features of the part of the image in a box.
            given: label → x and y, px, of points that are already placed.
        """
        box = found_box(self.region, features, given)
        return self.close.predict(look(box), given) if box else []


def found_box(
    region: NamingModel,
    features: ExampleFeatures,
    given: Mapping[str, tuple[float, float]] | None = None,
) -> Box | None:
    """Return the box of the object in an image, by the landmarks that are found in it.

    Args:
        region: learnt from whole images.
        features: of the whole image, from the same extractor and as fine as the examples'.
        given: as in `NamingModel.predict`.
    """
    expect_key(region.key, features)
    found = find(region.known, features, given)
    known = is_known(found.places)
    seen = known & (found.figures[:, FIGURES.index("seen in votes")] >= SEEN)
    places = features.frame.to_image(found.places[seen if seen.sum() > 1 else known])
    return object_box([(x, y) for x, y in places.tolist()])
