"""Prepare labelled images for training: decode once, check, store on disk, split in two."""

import hashlib
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from model.decoding import UnreadableImage
from model.image import clip_box, to_square
from model.learning.class_sizes import class_sizes
from model.learning.labelled_images import LabelledImages, LeftOut


@dataclass(frozen=True, eq=False)
class Samples:
    """Images of one size with the numbers of their classes.

    Attributes:
        squares: (M, S, S, 3) uint8 RGB, whole images squashed; memory-mapped.
        rows: (N,) indices of the squares that are used.
        classes: names, sorted.
        labels: (N,) number of each used image's class.
        digests: SHA-256 of each used image's decoded pixels.
        left_out: images that are not used, and why.
        warnings: reasons to doubt the result of a training.
    """

    squares: NDArray[np.uint8]
    rows: NDArray[np.intp]
    classes: tuple[str, ...]
    labels: Tensor
    digests: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]

    def batch(self, indices: NDArray[np.intp]) -> tuple[Tensor, Tensor]:
        """Return images (B, 3, S, S) uint8 and their classes (B,)."""
        pixels = torch.from_numpy(np.ascontiguousarray(self.squares[self.rows[indices]]))
        return pixels.permute(0, 3, 1, 2), self.labels[torch.from_numpy(indices)]

    def counts(self) -> dict[str, int]:
        """Return class → number of used images."""
        numbers = torch.bincount(self.labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, numbers, strict=True))

    def split(
        self, validation_share: float, seed: int, *, by_content: bool = False
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Split the images at random into training and validation images.

        Each class is split in the same proportion, with at least one image on either side.

        Args:
            by_content: let an image's pixels decide instead of the seed, so that nearly all images
                keep their side when others are added.

        Returns:
            Indices of the training images, and of the validation images.
        """
        rng = np.random.default_rng(seed)
        labels = self.labels.numpy()
        training, validation = [], []
        for label in range(len(self.classes)):
            own = np.flatnonzero(labels == label)
            if by_content:
                own = np.array(sorted(own, key=lambda index: self.digests[index]))
            else:
                own = rng.permutation(own)
            count = int(np.clip(round(validation_share * len(own)), 1, len(own) - 1))
            validation.append(own[:count])
            training.append(own[count:])
        return np.sort(np.concatenate(training)), np.sort(np.concatenate(validation))


@contextmanager
def prepared(images: LabelledImages, side: int, *, progress: bool = False) -> Iterator[Samples]:
    """Decode every image once; inside the block, the squares are in a temporary file.

    Leave out images that cannot be read, every copy of an image after the first (it might end up
    both in training and in validation), all copies of an image that has two classes, and classes
    with too few images.

    Args:
        side: side of the squares, px.

    Raises:
        UnusableLabels: fewer than two classes have enough images.
        OSError: the disk is full.
    """
    with tempfile.TemporaryFile() as file:
        decoded, unreadable = _write_squares(images, side, file, progress=progress)
        digests = dict(decoded)
        copies = _copies(images, digests)
        unusable = (*images.left_out, *unreadable, *copies.values())
        usable = [index for index in digests if index not in copies]
        sizes = class_sizes([images.labels[index] for index in usable], set(images.labels))
        sizes.check(unusable)
        used = [index for index in usable if images.labels[index] in sizes.learnt]
        alone = tuple(
            (images.names[index], sizes.reason(images.labels[index]))
            for index in usable
            if images.labels[index] not in sizes.learnt
        )
        number = {name: place for place, name in enumerate(sizes.learnt)}
        row = {index: place for place, index in enumerate(digests)}
        yield Samples(
            squares=np.memmap(file, np.uint8, "r", shape=(len(digests), side, side, 3)),
            rows=np.array([row[index] for index in used]),
            classes=sizes.learnt,
            labels=torch.tensor([number[images.labels[index]] for index in used]),
            digests=tuple(digests[index] for index in used),
            left_out=(*unusable, *alone),
            warnings=sizes.warnings(),
        )


def _write_squares(
    images: LabelledImages, side: int, file: IO[bytes], *, progress: bool
) -> tuple[list[tuple[int, str]], list[LeftOut]]:
    """Decode with several threads and write in order.

    Returns:
        (index, digest) of the decoded images, and the images that failed.
    """

    def square(index: int) -> tuple[NDArray[np.uint8], str] | str:
        try:
            image = images.load(index)
        except (OSError, UnreadableImage) as error:
            return str(error)
        box = clip_box(None, image.shape[1], image.shape[0])
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        return to_square(image, box, side, "squash")[0], digest

    decoded, unreadable = [], []
    indices = range(len(images.names))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bar = tqdm(
            pool.map(square, indices), "reading", len(indices), unit="image", disable=not progress
        )
        for index, outcome in enumerate(bar):
            if isinstance(outcome, str):
                unreadable.append((images.names[index], outcome))
            else:
                pixels, digest = outcome
                file.write(pixels.tobytes())
                decoded.append((index, digest))
    file.flush()
    return decoded, unreadable


def _copies(images: LabelledImages, digests: dict[int, str]) -> dict[int, LeftOut]:
    """Find images to leave out because others have the same pixels: index → name and reason."""
    same = defaultdict(list)
    for index, digest in digests.items():
        same[digest].append(index)
    unwanted = {}
    for indices in same.values():
        first, *others = indices
        labels = sorted({images.labels[index] for index in indices})
        if len(labels) > 1:
            reason = f"the same image is called {' and '.join(labels)}"
            unwanted.update({index: (images.names[index], reason) for index in indices})
        else:
            reason = f"it is the same image as {images.names[first]}"
            unwanted.update({index: (images.names[index], reason) for index in others})
    return unwanted
