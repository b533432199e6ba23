"""Fine scale: which pixels carry the evidence for the predicted class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

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


class _GuidedReLU(torch.autograd.Function):
    """ReLU whose backward pass lets through positive gradients to positive activations alone."""

    @staticmethod
    def forward(ctx: Any, activation: Tensor) -> Tensor:
        output = activation.clamp(min=0)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        output: Tensor = ctx.saved_tensors[0]
        return gradient.clamp(min=0) * (output > 0)


class GuidedReLUs(TorchFunctionMode):
    """Inside the block, every ReLU of every network is a guided one.

    Modules, functions, in-place and shared ReLUs are caught alike, as the call itself is
    redirected; so the network needs no hooks and there is nothing to put back.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func in _RELU_FUNCTIONS:
            return _GuidedReLU.apply(args[0] if args else named["input"])  # type: ignore[no-untyped-call]
        return func(*args, **named)


def softmax_gradient(logits: Tensor, predicted: int) -> Tensor:
    """Gradient of the predicted class's softmax probability by the logits.

    p_c (δ_cj - p_j), in float64, with 1 - p_c as the sum of the other probabilities: subtracted
    from 1 in float32, it loses most of its digits when the network is sure.

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
    """Guided backpropagation of the softmax probability of one class to the image.

    At every ReLU, R = (f > 0) · (R' > 0) · R', with f its output and R' the gradient from above.

    Args:
        network: maps (1, 3, H, W) to logits (1, classes); left as it was found.
        image: (3, H, W), normalised as in training.
        predicted: index of the class; None for the one with the highest logit.

    Returns:
        (3, H, W), float64, in probability for one unit of the normalised image.

    Source: Springenberg et al., ICLR workshop 2015, arXiv:1412.6806; from the softmax: the poster.
    """
    pixels = image.detach().clone().requires_grad_()
    with torch.enable_grad():
        with GuidedReLUs():
            logits = network(pixels[None])[0]
        if predicted is None:
            predicted = int(logits.argmax())
        seed = softmax_gradient(logits.detach(), predicted)
        # The backward pass is linear up to a positive factor, so it may run at a size that
        # float32 holds well: of a sure network the gradient is smaller than its smallest number.
        size = float(seed.abs().max()) or 1.0
        (gradient,) = torch.autograd.grad(logits, pixels, (seed / size).to(logits.dtype))
    return gradient.double() * size


def colours_to_map(gradient: Tensor, reduction: Literal["max", "mean"] = "max") -> Tensor:
    """One map (H, W) of a gradient (3, H, W): maximum or mean of the absolute value of colours."""
    size = gradient.abs()
    return size.amax(dim=0) if reduction == "max" else size.mean(dim=0)
