"""Random variants of training images, so that a network learns what they have in common."""

import torch
from torch import Generator, Tensor
from torch.nn import functional


def augment(
    images: Tensor, size: int, generator: Generator, *, strength: float, flip: bool
) -> Tensor:
    """Zoom, shift, rotate, stretch, mirror and recolour each image at random.

    Nothing is covered or cut out: a network trained to cope with hidden parts would later show no
    trace of them in the occlusion map.

    Args:
        images: (B, 3, S, S) uint8.
        size: side of the result, px.
        strength: 0 for unchanged images, 1 for the strongest changes.
        flip: whether to mirror each image with probability 1/2.

    Returns:
        (B, 3, size, size) float32, approximately in [0, 1].
    """
    count = len(images)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    angle = strength * uniform(-0.15, 0.15)
    zoom = 1 - strength * uniform(-0.05, 0.35)
    stretch = (strength * uniform(-0.12, 0.12)).exp()
    mirror = torch.where(uniform(0, 1) < 0.5 * flip, -1.0, 1.0)
    wide, tall = zoom * stretch, zoom / stretch
    cosine, sine = angle.cos(), angle.sin()
    across, down = (uniform(-1, 1) * (1 - side).abs() for side in (wide, tall))
    rows = (
        torch.stack([cosine * wide * mirror, -sine * tall, across], 1),
        torch.stack([sine * wide * mirror, cosine * tall, down], 1),
    )
    grid = functional.affine_grid(torch.stack(rows, 1), [count, 3, size, size], align_corners=False)
    moved = functional.grid_sample(
        images.float() / 255, grid, padding_mode="reflection", align_corners=False
    )
    contrast = 1 + strength * uniform(-0.25, 0.25, 1, 1, 1)
    brightness = strength * uniform(-0.12, 0.12, 1, 1, 1)
    tint = 1 + strength * uniform(-0.1, 0.1, 3, 1, 1)
    middle = moved.mean((1, 2, 3), keepdim=True)
    return ((moved - middle) * contrast + middle + brightness) * tint
