"""Coarse scale: how far a score falls while a patch of the image is hidden."""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor

# Maps a batch of images (B, 3, H, W) to one score each (B,), float64.
Score = Callable[[Tensor], Tensor]


def patch_positions(length: int, window: int, stride: int) -> list[int]:
    """First pixel of every patch along one side.

    0, stride, 2·stride, ... as long as the patch fits, and one more that ends at the border where
    those leave pixels over; so every pixel is covered.

    Raises:
        ValueError: unless 1 <= stride <= window <= length.
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
    """Draw images of random colours; hiding a patch puts the same place of such an image there.

    Returns:
        (count, 3, height, width), uniform in [0, 1), the same for the same seed.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((count, 3, height, width), generator=generator)


def predicted_class_score(
    network: Callable[[Tensor], Tensor], predicted: int, kind: Literal["probability", "log-odds"]
) -> Score:
    """Score images by how sure a network is of one class.

    "probability" is the softmax, as in the poster; "log-odds" is log(p / (1 - p)), which does not
    saturate. Computed in float64 from the logits, as 1 - p is lost in float32 for sure classes.
    """

    def score(images: Tensor) -> Tensor:
        return class_scores(network(images), predicted, kind)

    return score


def class_scores(
    logits: Tensor, predicted: int, kind: Literal["probability", "log-odds"]
) -> Tensor:
    """Score of one class, (B,) float64, from logits (B, classes); see `predicted_class_score`."""
    logits = logits.double()
    if kind == "probability":
        return logits.softmax(dim=1)[:, predicted]
    others = torch.cat([logits[:, :predicted], logits[:, predicted + 1 :]], dim=1)
    return logits[:, predicted] - others.logsumexp(dim=1)


class FastestBatch:
    """Finds out, while the work goes on, how many images at once take least time an image."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = list(sizes)
        self._seconds: dict[int, float] = {}  # for one image

    def size(self) -> int:
        """How many images to take next: each size once, then the fastest."""
        for size in self._sizes:
            if size not in self._seconds:
                return size
        return min(self._sizes, key=self._seconds.__getitem__)

    def took(self, images: int, seconds: float) -> None:
        """Note how long a batch took."""
        self._seconds[images] = seconds / images

    def too_large(self, size: int) -> None:
        """Leave out what does not fit into memory.

        Raises:
            torch.OutOfMemoryError: no smaller size is left.
        """
        smaller = [other for other in self._sizes if other < size] or [size // 2]
        if smaller == [0]:
            raise torch.OutOfMemoryError("a single image does not fit into the device's memory")
        self._sizes = smaller


def batch_sizes(device: torch.device) -> FastestBatch:
    """Batch sizes worth trying on a device."""
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
        batch: how many images to take at once.

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
            batch.took(len(chunk), perf_counter() - begin)
        except torch.OutOfMemoryError:
            batch.too_large(size)
        else:
            done += len(chunk)
    return torch.cat(found)


def _hide(image: Tensor, fill: Tensor, places: Sequence[tuple[int, int]], window: int) -> Tensor:
    """One image (B, 3, H, W) for each place, with the patch there hidden."""
    images = image.expand(len(places), *image.shape)
    images = images.clone(memory_format=torch.channels_last)
    for hidden, (top, left) in zip(images, places, strict=True):
        patch = (slice(None), slice(top, top + window), slice(left, left + window))
        hidden[patch] = fill[patch]
    return images


class DenseLogits:
    """Logits for an image with each patch hidden in turn, by running the network for each."""

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
            window: their side, px.
        """
        self.network = network
        self.window = window
        self._shape = (len(tops), len(lefts))
        self._places = [(top, left) for top in tops for left in lefts]
        self._batch: FastestBatch | None = None

    @torch.inference_mode()
    def __call__(self, image: Tensor, fills: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of an image, and with each patch hidden in turn.

        Args:
            image: (3, H, W), normalised, on the network's device.
            fills: (N, 3, H, W), normalised, likewise: what a hidden patch shows.

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


def patch_scores(
    score: Score,
    image: Tensor,
    fill: Tensor,
    *,
    window: int,
    stride: int,
    batch: int | None = None,
) -> Tensor:
    """Score of the image with each patch hidden in turn.

    Args:
        score: maps images (B, 3, H, W) to (B,).
        image: (3, H, W), normalised.
        fill: (3, H, W), normalised: what a hidden patch shows.
        window, stride: of the patch, px.
        batch: images that are scored at once; None for what turns out to be fastest.

    Returns:
        (rows, columns) over the positions of `patch_positions`.

    Raises:
        ValueError: unless 1 <= stride <= window <= min(H, W).
    """
    tops = patch_positions(image.shape[1], window, stride)
    lefts = patch_positions(image.shape[2], window, stride)
    places = [(top, left) for top in tops for left in lefts]
    sizes = FastestBatch([batch]) if batch else batch_sizes(image.device)
    scores = over_patches(score, image, fill, places, window, sizes)
    return scores.view(len(tops), len(lefts))


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
    """Average fall of a score while a patch hides each pixel.

    d(b) = max(f(x) - f(h(x, b)), 0) for every patch b; a rise counts as 0.

    Args:
        clean: score of the image, ().
        hidden: scores (N, rows, columns) with each patch hidden in turn, over the positions of
            `patch_positions`; the maps of the N fills are averaged.
        height, width: of the image, px.
        window: side of the square patch, px.
        stride: step between patches, px.

    Returns:
        (height, width), float64, in units of the score; never negative.
    """
    drops = (clean - hidden).clamp(min=0).mean(dim=0).cpu()
    return spread_over_pixels(drops, height, width, window=window, stride=stride)


def occlusion_map(
    score: Score,
    image: Tensor,
    fills: Tensor,
    *,
    window: int = 16,
    stride: int = 8,
    batch: int | None = None,
) -> Tensor:
    """Average fall of a score while a patch of random colours hides each pixel.

    d(b) = max(f(x) - f(h(x, b)), 0) for every patch b; a rise counts as 0.

    Args:
        score: maps images (B, 3, H, W) to one number each, (B,).
        image: (3, H, W), normalised as in training.
        fills: (N, 3, H, W), normalised; the maps of the N fills are averaged.
        window: side of the square patch, px.
        stride: step between patches, px; the last patch of a row ends at the border.
        batch: images that are scored at once; None for what turns out to be fastest.

    Returns:
        (H, W), float64, in units of `score`; never negative.

    Raises:
        ValueError: unless 1 <= stride <= window <= min(H, W).

    Source: Zeiler and Fergus, ECCV 2014, arXiv:1311.2901; random colours: the poster.
    """
    height, width = image.shape[1:]
    with torch.inference_mode():
        clean = score(image[None])[0]
    hidden = [
        patch_scores(score, image, fill, window=window, stride=stride, batch=batch)
        for fill in fills
    ]
    return map_of_scores(clean, torch.stack(hidden), height, width, window=window, stride=stride)
