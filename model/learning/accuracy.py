"""How often a classifier is right: over all images, and in the mean over classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of validation images whose class is right, in [0, 1].

    Attributes:
        images: of all images.
        classes: mean over classes of the share of each (balanced accuracy). A network that always
            names the largest class reaches 1 / classes, however large that class is.
    """

    images: float
    classes: float

    def __str__(self) -> str:
        """Return the accuracy in words."""
        return self.in_words("the validation images")

    def in_words(self, images: str) -> str:
        """Return both shares in words, or one where they are equal; `images` says of what."""
        text = f"{self.images:.1%} of {images} right"
        mean = f"{self.classes:.1%}"
        return text if mean == f"{self.images:.1%}" else f"{text}, {mean} in the mean over classes"


def accuracy(right: NDArray[np.bool_], labels: NDArray[np.intp]) -> Accuracy:
    """Compute the accuracy from each image's outcome and the number of its class, both (N,)."""
    images = np.bincount(labels)
    per_class = np.bincount(labels, weights=right)[images > 0] / images[images > 0]
    return Accuracy(float(right.mean()), float(per_class.mean()))
