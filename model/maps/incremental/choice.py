"""The fastest exact way to the logits with each patch hidden."""

import time
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from model.maps.incremental.graph import Unsupported
from model.maps.incremental.logits import IncrementalLogits

# Maps an image (3, H, W) and fills (N, 3, H, W) to the image's logits (classes,) and those with
# each patch hidden in turn, (N, rows, columns, classes).
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

    On a CPU it is the former wherever the network allows it; where it does not, a warning says why.
    On a GPU, which may be faster with the latter, both are timed on the first image.

    Args:
        network: in evaluation mode, (B, 3, H, W) to logits (B, classes); left as it is.
        dense: runs the whole network.
        size: height and width of the images, px.
        tops, lefts: first row and first column of the patches, px.
        window: their side, px.
        precision: "bfloat16" lets convolutions and linear layers multiply such numbers.

    Raises:
        ValueError: the network is in training mode, answers at random or has half-precision
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
            f"patch, as this network cannot be followed layer by layer: {reason}",
            RuntimeWarning,
            stacklevel=2,
        )
        return dense
    return FirstTimed([dense, incremental]) if weight.is_cuda else incremental


class FirstTimed:
    """Takes the fastest of several ways, found out on the first image."""

    def __init__(self, ways: Sequence[HiddenLogits]) -> None:
        self._ways = ways

    def __call__(self, image: Tensor, fills: Tensor) -> tuple[Tensor, Tensor]:
        """See `HiddenLogits`."""
        if len(self._ways) > 1:
            seconds = [_seconds(way, image, fills) for way in self._ways]
            self._ways = [self._ways[seconds.index(min(seconds))]]
        return self._ways[0](image, fills)


def _seconds(way: HiddenLogits, image: Tensor, fills: Tensor) -> float:
    """How long a way takes when it is gone a second time."""
    way(image, fills[:1])
    begin = time.perf_counter()
    _, hidden = way(image, fills[:1])
    hidden.cpu()  # waits for the device
    return time.perf_counter() - begin


def in_lower_precision(
    dense: HiddenLogits, device: torch.device, products: torch.dtype
) -> HiddenLogits:
    """Let the whole network multiply numbers of a shorter type."""

    def lower(image: Tensor, fills: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device.type, products):
            clean, hidden = dense(image, fills)
        return clean.to(image.dtype), hidden.to(image.dtype)

    return lower


def expect_evaluation(network: nn.Module, dtype: torch.dtype) -> None:
    """Raise ValueError where the network is not ready to be evaluated in full precision."""
    if any(module.training for module in network.modules()):
        raise ValueError("expected a network in evaluation mode: call network.eval() first")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"expected weights of float32, got {dtype}: call network.float() first, and choose "
            f"precision=bfloat16 for shorter products"
        )


@torch.inference_mode()
def expect_one_answer(network: nn.Module, image: Tensor) -> None:
    """Raise ValueError where a network answers the same image in two ways."""
    if not torch.allclose(network(image), network(image), rtol=1e-3, equal_nan=True):
        raise ValueError(
            "expected a network that always answers the same image in the same way, got one that "
            "does not: take its randomness (such as dropout that is always active) out"
        )
