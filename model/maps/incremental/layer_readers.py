"""Read each layer and function of torch as an operation.

`MODULES` and `CALLS` map a layer's type, or the function or method called, to a reader. A reader
returns the operation, None where the value passes unchanged, or raises `Unsupported`.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from model.maps.incremental.graph import (
    AdaptiveAveragePool,
    AdaptiveMaxPool,
    AveragePool,
    Concatenation,
    Convolution,
    Flatten,
    Linear,
    MaxPool,
    Operation,
    Pair,
    ReLU,
    Scale,
    Sum,
    Unsupported,
)


def is_batch_size(node: object) -> bool:
    """Return whether a node is `x.size(0)` or `x.shape[0]`, or an intermediate node of these."""
    if not isinstance(node, fx.Node):
        return False
    if node.op == "call_method" and node.target == "size":
        return len(node.args) == 1 or bool(node.args[1] == 0)
    if node.op == "call_function" and node.target is getattr:
        return bool(node.args[1] == "shape")
    first_item = node.op == "call_function" and node.target is operator.getitem
    return first_item and bool(node.args[1] == 0) and is_batch_size(node.args[0])


def _pair(value: Any) -> Pair:
    if isinstance(value, int):
        return value, value
    height, width = value
    if not (isinstance(height, int) and isinstance(width, int)):
        raise TypeError(f"expected two numbers, got {value}")
    return height, width


def _convolution(module: nn.Conv2d) -> Convolution:
    if module.padding_mode != "zeros":
        raise Unsupported(f"Conv2d with padding_mode={module.padding_mode!r}")
    dilation = _pair(module.dilation)
    return Convolution(
        module.weight.detach(),
        None if module.bias is None else module.bias.detach(),
        _pair(module.stride),
        _padding(module),
        dilation,
        module.groups,
    )


def _padding(module: nn.Conv2d) -> Pair:
    if not isinstance(module.padding, str):
        return _pair(module.padding)
    if module.padding == "valid":
        return 0, 0
    reach = [
        (size - 1) * step
        for size, step in zip(module.kernel_size, _pair(module.dilation), strict=True)
    ]
    if any(length % 2 for length in reach):
        raise Unsupported("Conv2d with padding='same' and a kernel of even size")
    return reach[0] // 2, reach[1] // 2


def _batch_norm(module: nn.BatchNorm2d) -> Scale:
    if module.running_mean is None or module.running_var is None:
        raise Unsupported("BatchNorm2d without running statistics")
    factor = (module.running_var.double() + module.eps).rsqrt()
    if module.weight is not None:
        factor = factor * module.weight.detach().double()
    shift = -module.running_mean.double() * factor
    if module.bias is not None:
        shift = shift + module.bias.detach().double()
    return Scale(factor, shift)


def _max_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> MaxPool:
    if return_indices:
        raise Unsupported("max pooling that returns indices")
    kernel = _pair(kernel_size)
    step = kernel if stride is None else _pair(stride)
    return MaxPool(kernel, step, _pair(padding), _pair(dilation), ceil_mode)


def _average_pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> AveragePool:
    kernel = _pair(kernel_size)
    step = kernel if stride is None else _pair(stride)
    return AveragePool(kernel, step, _pair(padding), ceil_mode, count_include_pad, divisor_override)


def _adaptive_average_pool(output_size: Any) -> AdaptiveAveragePool:
    return AdaptiveAveragePool(_size(output_size))


def _adaptive_max_pool(output_size: Any, return_indices: bool = False) -> AdaptiveMaxPool:
    if return_indices:
        raise Unsupported("max pooling that returns indices")
    return AdaptiveMaxPool(_size(output_size))


def _size(output_size: Any) -> tuple[int | None, int | None]:
    if isinstance(output_size, int):
        return output_size, output_size
    height, width = output_size
    return height, width


def _mean(dim: Any, keepdim: bool = False) -> AdaptiveAveragePool:
    if sorted(side % 4 for side in dim) != [2, 3]:
        raise Unsupported(f"mean over the dimensions {dim}")
    return AdaptiveAveragePool((1, 1), keep_sides=keepdim)


def _flatten(start_dim: int = 0, end_dim: int = -1) -> Flatten:
    if start_dim != 1 or end_dim not in (-1, 3):
        raise Unsupported(f"flatten from dimension {start_dim} to {end_dim}")
    return Flatten()


def _reshape(*shape: Any) -> Flatten:
    sides = shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
    if len(sides) != 2 or sides[1] != -1 or not is_batch_size(sides[0]):
        raise Unsupported("view or reshape to anything but (batch size, -1)")
    return Flatten()


def _concatenation(dim: int = 0) -> Concatenation:
    if dim not in (1, -3):
        raise Unsupported(f"concatenation along dimension {dim}")
    return Concatenation()


def _sum(*others: Any, alpha: float = 1) -> Sum:
    if others or alpha != 1:
        raise Unsupported("addition of something other than two plain tensors")
    return Sum()


def _relu(inplace: bool = False) -> ReLU:
    return ReLU()


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> None:
    if training and p > 0:
        raise Unsupported("dropout that is active outside training")


def _nothing(_: nn.Module) -> None:
    """Read a module that passes its input unchanged."""


MODULES: Mapping[type[nn.Module], Callable[[Any], Operation | None]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda module: ReLU(),
    nn.MaxPool2d: lambda module: _max_pool(
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        module.return_indices,
    ),
    nn.AvgPool2d: lambda module: _average_pool(
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        module.count_include_pad,
        module.divisor_override,
    ),
    nn.AdaptiveAvgPool2d: lambda module: _adaptive_average_pool(module.output_size),
    nn.AdaptiveMaxPool2d: lambda module: _adaptive_max_pool(
        module.output_size, module.return_indices
    ),
    nn.Flatten: lambda module: _flatten(module.start_dim, module.end_dim),
    nn.Linear: lambda module: Linear(
        module.weight.detach(), None if module.bias is None else module.bias.detach()
    ),
    nn.Dropout: _nothing,
    nn.Dropout2d: _nothing,
    nn.Identity: _nothing,
}

IN_PLACE = {functional.relu_, torch.relu_, operator.iadd, "relu_", "add_"}

CALLS: Mapping[Any, Callable[..., Operation | None]] = {
    functional.relu: _relu,
    functional.relu_: _relu,
    torch.relu: _relu,
    torch.relu_: _relu,
    "relu": _relu,
    "relu_": _relu,
    functional.max_pool2d: _max_pool,
    functional.avg_pool2d: _average_pool,
    functional.adaptive_avg_pool2d: _adaptive_average_pool,
    functional.adaptive_max_pool2d: _adaptive_max_pool,
    functional.dropout: _dropout,
    torch.cat: _concatenation,
    torch.concat: _concatenation,
    operator.add: _sum,
    operator.iadd: _sum,
    torch.add: _sum,
    "add": _sum,
    "add_": _sum,
    torch.flatten: _flatten,
    "flatten": _flatten,
    "view": _reshape,
    "reshape": _reshape,
    "mean": _mean,
    torch.mean: _mean,
}
