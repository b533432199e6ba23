"""Class evidence inside the network: which activations speak for the predicted class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_RELU_FUNCTIONS = (
    torch.nn.functional.relu,
    torch.nn.functional.relu_,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    Tensor.relu_,
)


class RecordedReLUs(TorchFunctionMode):
    """Inside the block, the output of every ReLU is kept in `outputs`, in order.

    Modules, functions, in-place and shared ReLUs are caught alike, and the network is left alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func not in _RELU_FUNCTIONS:
            return func(*args, **named)
        output = torch.clamp(args[0] if args else named["input"], min=0)
        self.outputs.append(output)
        return output


def class_activation(
    network: Callable[[Tensor], Tensor], image: Tensor, predicted: int, *, stride: int
) -> Tensor:
    """LayerCAM of all ReLU layers of one resolution, summed.

    Each activation counts as often as its own gradient is positive: M = Σ max(∂y_c / ∂A, 0) · A
    over the channels, with y_c the logit of the class. Unlike the softmax, it does not saturate.

    Args:
        network: maps (1, 3, H, W) to logits (1, classes); left as it was found.
        image: (3, H, W), normalised as in training.
        predicted: index of the class.
        stride: px of the image for one cell of the map. Of the resolutions that the network has,
            the one with the nearest stride (as a ratio) is taken, the finer one of two.

    Returns:
        (h, w), float64, at that resolution; never negative.

    Raises:
        ValueError: the network has no ReLU whose output is a map.

    Source: Jiang et al., "LayerCAM", IEEE TIP 2021; summed over layers: ours.
    """
    with torch.enable_grad(), RecordedReLUs() as recorded:
        logits = network(image[None].detach().requires_grad_())[0]
    maps = [output for output in recorded.outputs if output.ndim == 4 and output.shape[2] > 1]
    if not maps:
        raise ValueError("expected a network with ReLU layers before its pooling, found none")
    height = min(
        {output.shape[2] for output in maps},
        key=lambda rows: (abs(_octaves(image.shape[1] / rows, stride)), -rows),
    )
    stage = [output for output in maps if output.shape[2] == height]
    gradients = torch.autograd.grad(logits[predicted], stage, allow_unused=True)
    total = torch.zeros(stage[0].shape[2:], dtype=torch.float64)
    for activation, gradient in zip(stage, gradients, strict=True):
        if gradient is not None:  # a layer that feeds nothing but an auxiliary output
            evidence = gradient[0].clamp(min=0) * activation[0].detach()
            total += evidence.sum(dim=0).double()
    return total


def _octaves(stride: float, wanted: float) -> float:
    return float(torch.log2(torch.tensor(stride / wanted)))


def flip_averaged(
    network: Callable[[Tensor], Tensor], image: Tensor, predicted: int, *, stride: int
) -> Tensor:
    """`class_activation` of the image and of its mirror image, averaged in place."""
    seen = class_activation(network, image, predicted, stride=stride)
    mirrored = class_activation(network, image.flip(2), predicted, stride=stride)
    return (seen + mirrored.flip(1)) / 2
