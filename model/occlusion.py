"""Coarse scale: how far a score falls while a patch of the image is hidden."""

from collections.abc import Callable
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


@torch.inference_mode()
def patch_scores(
    score: Score, image: Tensor, fill: Tensor, *, window: int, stride: int, batch: int = 8
) -> Tensor:
    """Score of the image with each patch hidden in turn.

    Args:
        score: maps images (B, 3, H, W) to (B,).
        image: (3, H, W), normalised.
        fill: (3, H, W), normalised: what a hidden patch shows.
        window, stride: of the patch, px.
        batch: images that are scored at once.

    Returns:
        (rows, columns) over the positions of `patch_positions`.

    Raises:
        ValueError: unless 1 <= stride <= window <= min(H, W).
    """
    tops = patch_positions(image.shape[1], window, stride)
    lefts = patch_positions(image.shape[2], window, stride)
    places = [(top, left) for top in tops for left in lefts]
    hidden = image.repeat(min(batch, len(places)), 1, 1, 1)
    scores = []
    for start in range(0, len(places), batch):
        chunk = places[start : start + batch]
        for row, (top, left) in enumerate(chunk):
            patch = (slice(None), slice(top, top + window), slice(left, left + window))
            hidden[row][patch] = fill[patch]
        scores.append(score(hidden[: len(chunk)]))
        for row, (top, left) in enumerate(chunk):
            patch = (slice(None), slice(top, top + window), slice(left, left + window))
            hidden[row][patch] = image[patch]
    return torch.cat(scores).reshape(len(tops), len(lefts))


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


def occlusion_map(
    score: Score,
    image: Tensor,
    fills: Tensor,
    *,
    window: int = 16,
    stride: int = 8,
    batch: int = 8,
) -> Tensor:
    """Average fall of a score while a patch of random colours hides each pixel.

    d(b) = max(f(x) - f(h(x, b)), 0) for every patch b; a rise counts as 0.

    Args:
        score: maps images (B, 3, H, W) to one number each, (B,).
        image: (3, H, W), normalised as in training.
        fills: (N, 3, H, W), normalised; the maps of the N fills are averaged.
        window: side of the square patch, px.
        stride: step between patches, px; the last patch of a row ends at the border.
        batch: images that are scored at once.

    Returns:
        (H, W), float64, in units of `score`; never negative.

    Raises:
        ValueError: unless 1 <= stride <= window <= min(H, W).

    Source: Zeiler and Fergus, ECCV 2014, arXiv:1311.2901; random colours: the poster.
    """
    height, width = image.shape[1:]
    with torch.inference_mode():
        clean = score(image[None])[0].cpu()
    drops = torch.stack(
        [
            clean
            - patch_scores(score, image, fill, window=window, stride=stride, batch=batch).cpu()
            for fill in fills
        ]
    )
    mean = drops.clamp(min=0).mean(dim=0)
    return spread_over_pixels(mean, height, width, window=window, stride=stride)
