"""Fine scale: which pixels carry the evidence for the predicted class."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.maps.interface import Map, MapInput, MapSetup
from model.maps.relu_calls import ReplacedReLUs


def prepare(setup: MapSetup) -> Map:
    """See `model.maps.interface.MapFactory`; reads the setting `fine_colours`."""
    device = next(setup.network.parameters()).device

    def guided_map(given: MapInput) -> NDArray[np.float64]:
        gradient = guided_backprop(setup.network, given.pixels.to(device), given.predicted)
        heat = colours_to_map(gradient, setup.settings.fine_colours)
        return np.asarray(heat.cpu().numpy())

    return guided_map


class _GuidedReLU(torch.autograd.Function):
    """ReLU whose backward pass keeps only positive gradients to positive activations."""

    @staticmethod
    def forward(ctx: Any, activation: Tensor) -> Tensor:
        output = activation.clamp(min=0)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        output: Tensor = ctx.saved_tensors[0]
        return gradient.clamp(min=0) * (output > 0)


class GuidedReLUs(ReplacedReLUs):
    """Inside the block, every ReLU of every network is a guided one."""

    def relu(self, activation: Tensor) -> Tensor:
        return _GuidedReLU.apply(activation)  # type: ignore[no-any-return, no-untyped-call]


def softmax_gradient(logits: Tensor, predicted: int) -> Tensor:
    """Compute the gradient of a class's softmax probability with respect to the logits.

    p_c (δ_cj - p_j) in float64. 1 - p_c is computed as the sum of the other probabilities:
    subtracting from 1 in float32 loses most digits when the network is sure.

    Args:
        logits: (classes,).

    Returns:
        (classes,), float64.
    """
    probability = logits.double().softmax(dim=0)
    gradient = -probability[predicted] * probability
    others = probability.sum() - probability[predicted]
    if probability[predicted] > 0.5:
        others = torch.cat([probability[:predicted], probability[predicted + 1 :]]).sum()
    gradient[predicted] = probability[predicted] * others
    return gradient


def guided_backprop(
    network: Callable[[Tensor], Tensor], image: Tensor, predicted: int | None = None
) -> Tensor:
    """Compute guided backpropagation of the softmax probability of one class to the image.

    At every ReLU, R = (f > 0) · (R' > 0) · R', with f its output and R' the gradient from above.

    Args:
        network: maps (1, 3, H, W) to logits (1, classes); left unchanged.
        image: (3, H, W), normalised as in training.
        predicted: index of the class; None for the one with the highest logit.

    Returns:
        (3, H, W), float64, in probability per unit of the normalised image.

    Source: Springenberg et al., ICLR workshop 2015, arXiv:1412.6806; from the softmax: the poster.
    """
    pixels = image.detach().clone().requires_grad_()
    with torch.enable_grad():
        with GuidedReLUs():
            logits = network(pixels[None])[0]
        if predicted is None:
            predicted = int(logits.argmax())
        seed = softmax_gradient(logits.detach(), predicted)
        # The backward pass is linear up to a positive factor, so it can run on a gradient scaled
        # to 1. When the network is sure, the unscaled one underflows in float32.
        size = float(seed.abs().max()) or 1.0
        (gradient,) = torch.autograd.grad(logits, pixels, (seed / size).to(logits.dtype))
    return gradient.double() * size


def colours_to_map(gradient: Tensor, reduction: Literal["max", "mean"] = "max") -> Tensor:
    """Reduce a gradient (3, H, W) to (H, W): maximum or mean of the colours' absolute values.

    >>> colours_to_map(torch.tensor([[[1.0]], [[-4.0]], [[1.0]]]), "mean")
    tensor([[2.]])
    """
    size = gradient.abs()
    return size.amax(dim=0) if reduction == "max" else size.mean(dim=0)
