"""Class evidence inside the network: which activations speak for the predicted class."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.maps.interface import MapInput, MapSetup
from model.maps.relu_calls import ReplacedReLUs

Network = Callable[[Tensor], Tensor]


class ActivationMap:
    """LayerCAM, averaged over the image and its mirror image.

    A `model.maps.interface.ClassifyingMap`; reads the setting `activation_stride`.
    """

    def __init__(self, setup: MapSetup) -> None:
        """
        Raises:
            ValueError: the network has no ReLU whose output is a map.
        """
        self._network = setup.network
        self._device = next(setup.network.parameters()).device
        self._size = (setup.input_size, setup.input_size)
        empty = torch.zeros((1, 3, *self._size), device=self._device)
        self._height = stage_height(self._network, empty, setup.settings.activation_stride)

    def run(self, pixels: Tensor) -> "MirroredRun":
        """Run the network on an image (3, S, S), for its class and for the map."""
        return MirroredRun(self._network, pixels.to(self._device), self._height)

    def __call__(self, given: MapInput) -> NDArray[np.float64]:
        """Compute the map, (S, S)."""
        run = given.run if isinstance(given.run, MirroredRun) else self.run(given.pixels)
        evidence = run.evidence(given.predicted).cpu().numpy()
        return np.asarray(cv2.resize(evidence, self._size, interpolation=cv2.INTER_LINEAR))


class RecordedReLUs(ReplacedReLUs):
    """Inside the block, the output of every ReLU call is appended to `outputs`."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def relu(self, activation: Tensor) -> Tensor:
        output = torch.clamp(activation, min=0)
        self.outputs.append(output)
        return output


class StageReLUs(ReplacedReLUs):
    """Inside the block, ReLU outputs of one height are kept, and gradients reach back to them.

    The network's layers before the first of them run without gradients, which saves their memory;
    so the block has to stand in one of `torch.no_grad`.

    Attributes:
        outputs: (B, C, height, W) each, in the order of the calls.
    """

    def __init__(self, height: int) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []
        self._height = height

    def replaces(self, activation: Tensor) -> bool:
        return activation.ndim == 4 and activation.shape[2] == self._height

    def relu(self, activation: Tensor) -> Tensor:
        torch.set_grad_enabled(True)  # until the block of `no_grad` ends
        output = torch.relu(activation)
        if output.requires_grad:
            self.outputs.append(output)
            return output
        self.outputs.append(output.requires_grad_())
        return output.clone()  # a network may change it in place


def stage_height(network: Network, image: Tensor, stride: int) -> int:
    """Return the height of the network's ReLU outputs with the stride nearest to one.

    Args:
        image: (1, 3, H, W), of the size of those to come.
        stride: px of the image per cell. Near is meant as a ratio; of two equally near, the finer
            one.

    Raises:
        ValueError: the network has no ReLU whose output is a map.
    """
    with torch.no_grad(), RecordedReLUs() as recorded:
        network(image)
    maps = [each for each in recorded.outputs if each.ndim == 4 and each.shape[2] > 1]
    heights: set[int] = {each.shape[2] for each in maps}
    if not heights:
        raise ValueError("expected a network with ReLU layers before its pooling, found none")
    octaves = {rows: abs(math.log2(image.shape[2] / rows / stride)) for rows in heights}
    return min(heights, key=lambda rows: (octaves[rows], -rows))


class StageRun:
    """One pass of a network over images, with the class evidence in a stage of it.

    Args:
        network: maps (B, 3, H, W) to logits (B, classes); left unchanged.
        images: (B, 3, H, W), normalised as in training, on the network's device. Processors
            convolve them faster in the memory format `torch.channels_last`.
        height: of the stage's activations; from `stage_height`.

    Attributes:
        logits: (B, classes).
    """

    def __init__(self, network: Network, images: Tensor, height: int) -> None:
        with torch.no_grad(), StageReLUs(height) as recorded:
            self._output = network(images)
        self._stage = recorded.outputs
        self.logits = self._output.detach()

    def evidence(self, predicted: int) -> Tensor:
        """Compute LayerCAM of each image, summed over all ReLU layers of the stage.

        Each activation is weighted by its own gradient where that is positive:
        M = Σ max(∂y_c / ∂A, 0) · A over the channels, where y_c is the logit of the class, which
        does not saturate like the softmax. It may be computed once.

        Args:
            predicted: index of the class.

        Returns:
            (B, h, w), float64, never negative.

        Source: Jiang et al., "LayerCAM", IEEE TIP 2021; summed over layers: ours.
        """
        # No image changes the logits of another, so the gradients of the sum are those of each.
        score = self._output[:, predicted].sum()
        gradients = torch.autograd.grad(score, self._stage, allow_unused=True)
        first = self._stage[0]
        size = (len(first), *first.shape[2:])
        total: Tensor = torch.zeros(size, dtype=torch.float64, device=first.device)
        for activation, gradient in zip(self._stage, gradients, strict=True):
            if gradient is not None:  # None for a layer that feeds only an auxiliary output
                evidence = gradient.clamp(min=0) * activation.detach()
                total += evidence.sum(dim=1).double()
        return total


class MirroredRun:
    """One pass of a network over an image (3, H, W) and its mirror image; see `StageRun`.

    Attributes:
        logits: (classes,), of the image as it is.
    """

    def __init__(self, network: Network, image: Tensor, height: int) -> None:
        both = torch.stack([image, image.flip(2)])
        self._run = StageRun(network, both.contiguous(memory_format=torch.channels_last), height)
        self.logits = self._run.logits[0]

    def evidence(self, predicted: int) -> Tensor:
        """Average the evidence in both, (h, w), as the image itself lies."""
        seen, mirrored = self._run.evidence(predicted)
        averaged: Tensor = (seen + mirrored.flip(1)) / 2
        return averaged
