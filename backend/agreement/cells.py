"""Sums over the images of each group, without a table of every group by every image."""

from dataclasses import dataclass

import numpy as np

from backend.agreement.columns import Floats, Integers, ShortIntegers


@dataclass(frozen=True)
class ImageCells:
    """The pairs of a group and an image that occur, sorted by group and then by image.

    Attributes:
        keys: (cells,): group · images + image.
        start: (groups + 1,): the first cell of each group, and the number of cells.
        images: number of images.
    """

    keys: Integers
    start: Integers
    images: int

    @classmethod
    def of(cls, group: Integers | ShortIntegers, image: Integers, groups: int) -> "ImageCells":
        """Find the pairs that occur among rows, given the group and the image of each."""
        images = int(image.max(initial=0)) + 1
        keys = np.unique(group.astype(np.int64) * images + image)
        start = np.searchsorted(keys, np.arange(groups + 1) * images)
        return cls(keys.astype(np.int64), start.astype(np.int64), images)

    def find(self, group: Integers | ShortIntegers, image: Integers) -> Integers:
        """Return the cell of each row; every pair must be among those that occur."""
        keys = group.astype(np.int64) * self.images + image
        return np.searchsorted(self.keys, keys).astype(np.int64)

    def sums(self, cell: Integers, values: Floats | None) -> Floats:
        """Sum values, or count rows where there are none, by cell.

        Args:
            cell: of each row.
            values: of each row; None counts rows.
        """
        return np.bincount(cell, values, minlength=len(self.keys)).astype(np.float64)

    def of_group(self, group: int) -> slice:
        """Return where the cells of a group lie; there is one for each of its images."""
        return slice(int(self.start[group]), int(self.start[group + 1]))
