"""Coarse scale: how far a score drops while a patch of the image is hidden."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.image import normalise
from model.maps.incremental.choice import HiddenLogits, fastest
from model.maps.interface import MapInput, MapSetup


class OcclusionMap:
    """Average drop of the predicted class's score while a patch of random colours hides each pixel.

    A `model.maps.interface.Map`; reads the settings `window`, `stride`, `fills`, `seed`,
    `precision` and `coarse_score`.

    Source: Zeiler and Fergus, ECCV 2014, arXiv:1311.2901; random colours: the poster.
    """

    def __init__(self, setup: MapSetup) -> None:
        """
        Raises:
            ValueError: the patch is larger than the network's input, or the network is in training
                mode, gives random outputs or has half-precision weights.
        """
        self.settings = setup.settings
        self.size = setup.input_size
        self.device = next(setup.network.parameters()).device
        self.hidden_logits = _hidden_logits(setup)
        fills = random_fills(self.settings.fills, self.size, self.size, self.settings.seed)
        classifier = setup.classifier
        self.fills = normalise(fills, classifier.mean, classifier.std).to(self.device)

    def __call__(self, given: MapInput) -> NDArray[np.float64]:
        """Compute the map, (S, S)."""
        settings = self.settings
        clean, hidden = self.hidden_logits(given.pixels.to(self.device), self.fills)
        scores = class_scores(hidden.flatten(0, 2), given.predicted, settings.coarse_score)
        heat = map_of_scores(
            class_scores(clean[None], given.predicted, settings.coarse_score)[0],
            scores.view(hidden.shape[:3]),
            self.size,
            self.size,
            window=settings.window,
            stride=settings.stride,
        )
        return np.asarray(heat.numpy())


def _hidden_logits(setup: MapSetup) -> HiddenLogits:
    window = setup.settings.window
    positions = patch_positions(setup.input_size, window, setup.settings.stride)
    return fastest(
        setup.network,
        DenseLogits(setup.network, positions, positions, window),
        (setup.input_size, setup.input_size),
        positions,
        positions,
        window,
        precision=setup.settings.precision,
    )


def patch_positions(length: int, window: int, stride: int) -> list[int]:
    """Return the first pixel of every patch along one side.

    0, stride, 2·stride, ... as long as the patch fits. If these leave pixels uncovered, one more
    patch ends at the border.

    Raises:
        ValueError: unless 1 <= stride <= window <= length.

    >>> patch_positions(10, window=4, stride=3)
    [0, 3, 6]
    >>> patch_positions(11, window=4, stride=3)
    [0, 3, 6, 7]
    """
    if not 1 <= stride <= window <= length:
        raise ValueError(
            f"expected 1 <= stride <= window <= {length} (the side of the image), "
            f"got {stride=}, {window=}"
        )
    positions = list(range(0, length - window + 1, stride))
    if positions[-1] != length - window:
        positions.append(length - window)
    return positions


def random_fills(count: int, height: int, width: int, seed: int) -> Tensor:
    """Draw images of random colours; a hidden patch shows the same place of such an image.

    Returns:
        (count, 3, height, width), uniform in [0, 1); a seed always gives the same images.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((count, 3, height, width), generator=generator)


def class_scores(
    logits: Tensor, predicted: int, kind: Literal["probability", "log-odds"]
) -> Tensor:
    """Score how sure a network is of one class.

    "probability" is the softmax, as in the poster; "log-odds" is log(p / (1 - p)), which does not
    saturate. Both are computed in float64 from the logits: when the network is sure, 1 - p has no
    digits left in float32.

    Args:
        logits: (B, classes).
        predicted: index of the class.

    Returns:
        (B,), float64.
    """
    logits = logits.double()
    if kind == "probability":
        return logits.softmax(dim=1)[:, predicted]
    others = torch.cat([logits[:, :predicted], logits[:, predicted + 1 :]], dim=1)
    return logits[:, predicted] - others.logsumexp(dim=1)


class FastestBatch:
    """Picks the batch size with the least time per image, measured during the actual work."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = list(sizes)
        self._seconds: dict[int, float] = {}  # per image

    def size(self) -> int:
        """Return the next batch's size: each size once, then the fastest."""
        for size in self._sizes:
            if size not in self._seconds:
                return size
        return min(self._sizes, key=self._seconds.__getitem__)

    def record(self, images: int, seconds: float) -> None:
        """Record how long a batch took."""
        self._seconds[images] = seconds / images

    def drop_from(self, size: int) -> None:
        """Drop this size and all larger ones, which do not fit into memory.

        Raises:
            torch.OutOfMemoryError: no smaller size is left.
        """
        smaller = [other for other in self._sizes if other < size] or [size // 2]
        if smaller == [0]:
            raise torch.OutOfMemoryError("a single image does not fit into the device's memory")
        self._sizes = smaller


def batch_sizes(device: torch.device) -> FastestBatch:
    """Return the batch sizes worth trying on a device."""
    return FastestBatch([8, 4, 16, 32] if device.type == "cpu" else [64, 128, 256, 512, 32])


@torch.inference_mode()
def over_patches(
    function: Callable[[Tensor], Tensor],
    image: Tensor,
    fill: Tensor,
    places: Sequence[tuple[int, int]],
    window: int,
    batch: FastestBatch,
) -> Tensor:
    """Apply a function to the image with each patch hidden in turn.

    Args:
        function: maps images (B, 3, H, W), channels last in memory, to (B, ...).
        image: (3, H, W), normalised.
        fill: (3, H, W), normalised: what a hidden patch shows.
        places: first row and first column of each patch.
        window: side of the patch, px.
        batch: chooses how many images to process at once.

    Returns:
        (patches, ...).
    """
    found: list[Tensor] = []
    done = 0
    while done < len(places):
        size = batch.size()
        chunk = places[done : done + size]
        try:
            begin = perf_counter()
            found.append(function(_hide(image, fill, chunk, window)))
            if image.is_cuda:
                torch.cuda.synchronize(image.device)
            batch.record(len(chunk), perf_counter() - begin)
        except torch.OutOfMemoryError:
            batch.drop_from(size)
        else:
            done += len(chunk)
    return torch.cat(found)


def _hide(image: Tensor, fill: Tensor, places: Sequence[tuple[int, int]], window: int) -> Tensor:
    """Copy the image once per place, with the patch there hidden: (B, 3, H, W)."""
    images = image.expand(len(places), *image.shape)
    images = images.clone(memory_format=torch.channels_last)
    for hidden, (top, left) in zip(images, places, strict=True):
        patch = (slice(None), slice(top, top + window), slice(left, left + window))
        hidden[patch] = fill[patch]
    return images


class DenseLogits:
    """Logits for an image with each patch hidden in turn; runs the whole network each time."""

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        tops: Sequence[int],
        lefts: Sequence[int],
        window: int,
    ) -> None:
        """
        Args:
            network: in evaluation mode, (B, 3, H, W) to logits (B, classes).
            tops, lefts: first row and first column of the patches, px.
            window: side of the patches, px.
        """
        self.network = network
        self.window = window
        self._shape = (len(tops), len(lefts))
        self._places = [(top, left) for top in tops for left in lefts]
        self._batch: FastestBatch | None = None

    @torch.inference_mode()
    def __call__(self, image: Tensor, fills: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits of an image, and those with each patch hidden in turn.

        Args:
            image: (3, H, W), normalised, on the network's device.
            fills: (N, 3, H, W), normalised, on the same device: what a hidden patch shows.

        Returns:
            (classes,) and (N, rows, columns, classes).
        """
        self._batch = self._batch or batch_sizes(image.device)
        clean = self.network(image[None].contiguous(memory_format=torch.channels_last))[0]
        hidden = torch.stack(
            [
                over_patches(self.network, image, fill, self._places, self.window, self._batch)
                for fill in fills
            ]
        )
        return clean, hidden.view(len(fills), *self._shape, -1)


def spread_over_pixels(
    drops: Tensor, height: int, width: int, *, window: int, stride: int
) -> Tensor:
    """Give every pixel the mean of the drops of the patches that cover it.

    Args:
        drops: (rows, columns) over the positions of `patch_positions`.

    Returns:
        (height, width), float64.
    """
    total = torch.zeros(height, width, dtype=torch.float64)
    cover = torch.zeros(height, width, dtype=torch.float64)
    for row, top in enumerate(patch_positions(height, window, stride)):
        for column, left in enumerate(patch_positions(width, window, stride)):
            total[top : top + window, left : left + window] += drops[row, column]
            cover[top : top + window, left : left + window] += 1
    return total / cover


def map_of_scores(
    clean: Tensor, hidden: Tensor, height: int, width: int, *, window: int, stride: int
) -> Tensor:
    """Compute the average drop of a score while a patch hides each pixel.

    d(b) = max(f(x) - f(h(x, b)), 0) for every patch b; a rise counts as 0.

    Args:
        clean: score of the image, ().
        hidden: scores (N, rows, columns) with each patch hidden in turn, over the positions of
            `patch_positions`; the maps of the N fills are averaged.
        height, width: size of the image, px.
        window: side of the square patch, px.
        stride: step between patches, px.

    Returns:
        (height, width), float64, in units of the score; never negative.
    """
    drops = (clean - hidden).clamp(min=0).mean(dim=0).cpu()
    return spread_over_pixels(drops, height, width, window=window, stride=stride)
