"""Choose the fastest exact way to compute the logits with each patch hidden.

This is the entry point of the package. The incremental way recomputes only what a hidden patch can
change. A patch of 16 × 16 px changes a small window of every early layer. The clean output of every
layer is kept. For groups of patches, the difference that they make is passed from layer to layer,
window by window until the window covers the layer, and from there on as a whole.

    tracing           lists the network's operations: layer_readers reads each layer, simplification
                      merges some, graph has the types
    windows           which part of each layer a patch can change, and which patches go together
    planning          everything that can be settled before an image arrives
    clean             the network on the image in which nothing is hidden
    differences       how a difference passes through each operation; window_tensors cuts and joins
    convolution       plain convolution of windows, or
    fast_convolution  with a quarter of the multiplications
    logits            all of it for one image; threads distributes the work, scratch has memory

Source: Nakandala et al., SIGMOD 2019, doi:10.1145/3299869.3319874.
"""

import time
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from model.maps.incremental.graph import Unsupported
from model.maps.incremental.logits import IncrementalLogits

# Maps an image (3, H, W) and fills (N, 3, H, W) to the logits of the image (classes,) and of the
# image with each patch hidden in turn, (N, rows, columns, classes).
HiddenLogits = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

TYPES = {"float32": None, "bfloat16": torch.bfloat16}


def fastest(
    network: nn.Module,
    dense: HiddenLogits,
    size: tuple[int, int],
    tops: Sequence[int],
    lefts: Sequence[int],
    window: int,
    *,
    precision: str = "float32",
) -> HiddenLogits:
    """Choose between recomputing what can change and running the whole network for each patch.

    On a CPU, recompute wherever the network allows it; otherwise warn and give the reason. On a
    GPU, where the whole network may be faster, time both on the first image.

    Args:
        network: a network in evaluation mode, (B, 3, H, W) to logits (B, classes); left unchanged.
        dense: runs the whole network for each patch.
        size: height and width of the images, px.
        tops, lefts: first row and first column of the patches, px.
        window: side of the patches, px.
        precision: with "bfloat16", convolutions and linear layers multiply in that type.

    Raises:
        ValueError: the network is in training mode, gives random outputs or has half-precision
            weights.
    """
    weight = next(network.parameters())
    expect_evaluation(network, weight.dtype)
    products = TYPES[precision]
    if products:
        dense = in_lower_precision(dense, weight.device, products)
    try:
        incremental = IncrementalLogits(network, size, tops, lefts, window, products=products)
    except Unsupported as reason:
        expect_one_answer(network, torch.rand(1, 3, *size).to(weight))
        warnings.warn(
            f"the occlusion map is computed the slow way, by running the whole network for each "
            f"patch, because this network cannot be followed layer by layer: {reason}",
            RuntimeWarning,
            stacklevel=2,
        )
        return dense
    return FirstTimed([dense, incremental]) if weight.is_cuda else incremental


class FirstTimed:
    """Times several ways on the first image and uses the fastest from then on."""

    def __init__(self, ways: Sequence[HiddenLogits]) -> None:
        self._ways = ways

    def __call__(self, image: Tensor, fills: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits; see `HiddenLogits`."""
        if len(self._ways) > 1:
            seconds = [_seconds(way, image, fills) for way in self._ways]
            self._ways = [self._ways[seconds.index(min(seconds))]]
        return self._ways[0](image, fills)


def _seconds(way: HiddenLogits, image: Tensor, fills: Tensor) -> float:
    """Time the second run of a way; the first one warms up."""
    way(image, fills[:1])
    begin = time.perf_counter()
    _, hidden = way(image, fills[:1])
    hidden.cpu()  # waits for the device
    return time.perf_counter() - begin


def in_lower_precision(
    dense: HiddenLogits, device: torch.device, products: torch.dtype
) -> HiddenLogits:
    """Run the whole network with products of a shorter type."""

    def lower(image: Tensor, fills: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, products):
            clean, hidden = dense(image, fills)
        return clean.to(image.dtype), hidden.to(image.dtype)

    return lower


def expect_evaluation(network: nn.Module, dtype: torch.dtype) -> None:
    """Raise ValueError unless the network is in evaluation mode and full precision."""
    if any(module.training for module in network.modules()):
        raise ValueError("expected a network in evaluation mode: call network.eval() first")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"expected weights of float32, got {dtype}: call network.float() first, and choose "
            f"precision=bfloat16 for faster, coarser products"
        )


@torch.inference_mode()
def expect_one_answer(network: nn.Module, image: Tensor) -> None:
    """Raise ValueError if a network gives two outputs for the same image."""
    if not torch.allclose(network(image), network(image), rtol=1e-3, equal_nan=True):
        raise ValueError(
            "expected a network that always gives the same output for the same image, got one that "
            "does not: remove its randomness, such as dropout that is always active"
        )
