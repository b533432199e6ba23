"""Class evidence inside the network: which activations speak for the predicted class."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.maps.interface import Map, MapInput, MapSetup
from model.maps.relu_calls import ReplacedReLUs


def prepare(setup: MapSetup) -> Map:
    """See `model.maps.interface.MapFactory`; reads the setting `activation_stride`."""
    size = (setup.input_size, setup.input_size)

    def activation_map(given: MapInput) -> NDArray[np.float64]:
        evidence = flip_averaged(
            setup.classifier.network,
            given.pixels,
            given.predicted,
            stride=setup.settings.activation_stride,
        )
        return np.asarray(cv2.resize(evidence.numpy(), size, interpolation=cv2.INTER_LINEAR))

    return activation_map


class RecordedReLUs(ReplacedReLUs):
    """Inside the block, the output of every ReLU call is appended to `outputs`."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def relu(self, activation: Tensor) -> Tensor:
        output = torch.clamp(activation, min=0)
        self.outputs.append(output)
        return output


def class_activation(
    network: Callable[[Tensor], Tensor], image: Tensor, predicted: int, *, stride: int
) -> Tensor:
    """Compute LayerCAM, summed over all ReLU layers of one resolution.

    Each activation is weighted by its own gradient where that is positive:
    M = Σ max(∂y_c / ∂A, 0) · A over the channels, where y_c is the logit of the class, which does
    not saturate like the softmax.

    Args:
        network: maps (1, 3, H, W) to logits (1, classes); left unchanged.
        image: (3, H, W), normalised as in training.
        predicted: index of the class.
        stride: px of the image per cell of the map. The network's resolution with the nearest
            stride (as a ratio) is used; of two equally near, the finer one.

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
        if gradient is not None:  # None for a layer that feeds only an auxiliary output
            evidence = gradient[0].clamp(min=0) * activation[0].detach()
            total += evidence.sum(dim=0).double()
    return total


def _octaves(stride: float, wanted: float) -> float:
    """Return the binary logarithm of a ratio of strides."""
    return float(torch.log2(torch.tensor(stride / wanted)))


def flip_averaged(
    network: Callable[[Tensor], Tensor], image: Tensor, predicted: int, *, stride: int
) -> Tensor:
    """Average `class_activation` of the image and of its mirror image, mirrored back."""
    seen = class_activation(network, image, predicted, stride=stride)
    mirrored = class_activation(network, image.flip(2), predicted, stride=stride)
    return (seen + mirrored.flip(1)) / 2
