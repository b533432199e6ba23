"""What a network is made of: its operations in order, as `torch.fx` finds them."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

Pair = tuple[int, int]


class Unsupported(ValueError):
    """The network does something that cannot be followed window by window; names what."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """Weight (out, in / groups, height, width), bias (out,) or None; batch norm folded in."""

    weight: Tensor
    bias: Tensor | None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Scale:
    """A factor and a shift (channels,): batch norm that no convolution precedes."""

    factor: Tensor
    shift: Tensor


@dataclass(frozen=True)
class ReLU:
    """max(x, 0)."""


@dataclass(frozen=True)
class MaxPool:
    """`torch.nn.MaxPool2d`; with `rectify`, a ReLU follows, which commutes with the maximum."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    ceil_mode: bool
    rectify: bool = False


@dataclass(frozen=True)
class AveragePool:
    """`torch.nn.AvgPool2d`."""

    kernel: Pair
    stride: Pair
    padding: Pair
    ceil_mode: bool
    count_include_pad: bool
    divisor: int | None


@dataclass(frozen=True)
class AdaptiveAveragePool:
    """`torch.nn.AdaptiveAvgPool2d`; without `keep_sides`, (B, C, 1, 1) is handed on as (B, C)."""

    size: tuple[int | None, int | None]
    keep_sides: bool = True


@dataclass(frozen=True)
class AdaptiveMaxPool:
    """`torch.nn.AdaptiveMaxPool2d`."""

    size: tuple[int | None, int | None]


@dataclass(frozen=True)
class Concatenation:
    """Along the channels."""


@dataclass(frozen=True)
class Sum:
    """Of all inputs."""


@dataclass(frozen=True)
class Flatten:
    """(B, C, H, W) to (B, C·H·W)."""


@dataclass(frozen=True, eq=False)
class Linear:
    """Weight (out, in), bias (out,) or None."""

    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class Image:
    """The network's input."""


Operation = (
    Image
    | Convolution
    | Scale
    | ReLU
    | MaxPool
    | AveragePool
    | AdaptiveAveragePool
    | AdaptiveMaxPool
    | Concatenation
    | Sum
    | Flatten
    | Linear
)


@dataclass(frozen=True, eq=False)
class Step:
    """An operation and the numbers of the steps whose outputs it takes."""

    operation: Operation
    inputs: tuple[int, ...] = ()


def trace(network: nn.Module) -> list[Step]:
    """List the operations of a network in the order in which they run; the last gives the logits.

    Batch norm is folded into the convolution before it, dropout is left out.

    Args:
        network: in evaluation mode.

    Raises:
        Unsupported: the network does something that is not in the list of `Operation`.
    """
    try:
        traced = fx.symbolic_trace(network)
    except Exception as error:  # it runs the network's own code, which may raise anything
        raise Unsupported(f"its code cannot be traced ({error})") from error
    return _rectify_in_pools(_fold_scales(_Reader(traced).read()))


class _Reader:
    """Turns the nodes of a traced network into steps."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.steps: list[Step] = []
        # Number of the step that holds each node's value now: an operation in place moves it on.
        self.places: dict[fx.Node, int] = {}

    def read(self) -> list[Step]:
        for node in self.traced.graph.nodes:
            if node.op == "output":
                return self._finish(node.args[0])
            self._read_node(node)
        raise Unsupported("it returns nothing")

    def _finish(self, output: Any) -> list[Step]:
        if not isinstance(output, fx.Node) or output not in self.places:
            raise Unsupported("it returns something else than one tensor")
        return _needed(self.steps, self.places[output])

    def _read_node(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if self.steps:
                raise Unsupported("it takes more than one input")
            self._add(node, Image(), ())
        elif node.op == "call_module":
            module = self.traced.get_submodule(str(node.target))
            self._read_module(node, module)
        elif _is_batch_size(node):
            return  # only `view` and `reshape` use it, and look at the node itself
        elif node.op in ("call_function", "call_method"):
            self._read_call(node)
        else:
            raise Unsupported(f"it uses the tensor {node.target} outside a layer")

    def _read_module(self, node: fx.Node, module: nn.Module) -> None:
        if module.training:
            raise Unsupported(f"its {type(module).__name__} is in training mode")
        reader = _MODULES.get(type(module))
        if reader is None:
            raise Unsupported(f"{type(module).__name__}")
        source = self.places[_only_tensor(node.args)]
        self._add(node, reader(module), (source,), in_place=getattr(module, "inplace", False))

    def _read_call(self, node: fx.Node) -> None:
        name = getattr(node.target, "__name__", str(node.target))
        in_place = node.kwargs.get("inplace", False) is True or node.target in _IN_PLACE
        sources = self._sources(node)
        reader = _CALLS.get(node.target)
        if reader is None or not sources:
            raise Unsupported(name)
        arguments = [argument for argument in node.args[1:] if argument not in self.places]
        try:
            operation = reader(*arguments, **node.kwargs)
        except TypeError as error:
            raise Unsupported(f"{name} with arguments {arguments}") from error
        if len(sources) > 1 and not isinstance(operation, Concatenation | Sum):
            raise Unsupported(f"{name} of several tensors")
        self._add(node, operation, sources, in_place)

    def _sources(self, node: fx.Node) -> tuple[int, ...]:
        """Steps whose outputs are the tensors that a call takes, lists of tensors included."""
        tensors: list[int] = []
        for argument in node.args:
            for part in argument if isinstance(argument, list | tuple) else [argument]:
                if isinstance(part, fx.Node) and part in self.places:
                    tensors.append(self.places[part])
        return tuple(tensors)

    def _add(
        self,
        node: fx.Node,
        operation: Operation | None,
        sources: tuple[int, ...],
        in_place: bool = False,
    ) -> None:
        """Append a step; None stands for one that hands on what it gets."""
        if operation is None:
            self.places[node] = sources[0]
            return
        self.steps.append(Step(operation, sources))
        self.places[node] = len(self.steps) - 1
        if in_place:
            overwritten = [other for other, place in self.places.items() if place == sources[0]]
            self.places |= dict.fromkeys(overwritten, len(self.steps) - 1)


def _only_tensor(arguments: Sequence[Any]) -> fx.Node:
    if len(arguments) != 1 or not isinstance(arguments[0], fx.Node):
        raise Unsupported("a layer of several inputs")
    return arguments[0]


def _is_batch_size(node: object) -> bool:
    """Whether a node is `x.size(0)` or `x.shape[0]`, or a step on the way to it."""
    if not isinstance(node, fx.Node):
        return False
    if node.op == "call_method" and node.target == "size":
        return len(node.args) == 1 or bool(node.args[1] == 0)
    if node.op == "call_function" and node.target is getattr:
        return bool(node.args[1] == "shape")
    first_item = node.op == "call_function" and node.target is operator.getitem
    return first_item and bool(node.args[1] == 0) and _is_batch_size(node.args[0])


def _needed(steps: list[Step], output: int) -> list[Step]:
    """The steps that the output rests on, renumbered."""
    wanted = {output}
    for number in range(output, -1, -1):
        if number in wanted:
            wanted.update(steps[number].inputs)
    if 0 not in wanted:
        raise Unsupported("its output does not depend on the image")
    numbers = {old: new for new, old in enumerate(sorted(wanted))}
    return [
        Step(steps[old].operation, tuple(numbers[source] for source in steps[old].inputs))
        for old in sorted(wanted)
    ]


def users(steps: Sequence[Step]) -> list[list[int]]:
    """Numbers of the steps that take each step's output."""
    taken: list[list[int]] = [[] for _ in steps]
    for number, step in enumerate(steps):
        for source in step.inputs:
            taken[source].append(number)
    return taken


def _fold_scales(steps: list[Step]) -> list[Step]:
    """Fold batch norm into the convolution before it, where nothing else takes its output."""
    taken = users(steps)
    folded = list(steps)
    moved = list(range(len(steps)))
    for number, step in enumerate(steps):
        if not isinstance(step.operation, Scale):
            continue
        before = moved[step.inputs[0]]
        convolution = folded[before].operation
        if isinstance(convolution, Convolution) and len(taken[step.inputs[0]]) == 1:
            folded[before] = replace(folded[before], operation=_scaled(convolution, step.operation))
            moved[number] = before
    rerouted = [
        Step(step.operation, tuple(moved[source] for source in step.inputs)) for step in folded
    ]
    return _needed(rerouted, moved[-1])


def _scaled(convolution: Convolution, scale: Scale) -> Convolution:
    weight = convolution.weight.double() * scale.factor.view(-1, 1, 1, 1)
    bias = scale.shift.clone()
    if convolution.bias is not None:
        bias += convolution.bias.double() * scale.factor
    dtype = convolution.weight.dtype
    return replace(convolution, weight=weight.to(dtype), bias=bias.to(dtype))


def _rectify_in_pools(steps: list[Step]) -> list[Step]:
    """Let max pooling do the work of a ReLU that nothing but it follows, on fewer values."""
    taken = users(steps)
    fused = list(steps)
    for number, step in enumerate(steps):
        source = step.inputs[0] if step.inputs else 0
        if (
            isinstance(step.operation, MaxPool)
            and isinstance(steps[source].operation, ReLU)
            and len(taken[source]) == 1
        ):
            fused[number] = Step(replace(step.operation, rectify=True), steps[source].inputs)
    return _needed(fused, len(fused) - 1)


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
    if len(sides) != 2 or sides[1] != -1 or not _is_batch_size(sides[0]):
        raise Unsupported("view or reshape to anything but (batch size, -1)")
    return Flatten()


def _concatenation(dim: int = 0) -> Concatenation:
    if dim not in (1, -3):
        raise Unsupported(f"concatenation along dimension {dim}")
    return Concatenation()


def _sum(*others: Any, alpha: float = 1) -> Sum:
    if others or alpha != 1:
        raise Unsupported("addition of something else than two tensors as they are")
    return Sum()


def _relu(inplace: bool = False) -> ReLU:
    return ReLU()


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> None:
    if training and p > 0:
        raise Unsupported("dropout that is active outside training")


def _nothing(_: nn.Module) -> None:
    """The module hands on what it gets."""


_MODULES: Mapping[type[nn.Module], Callable[[Any], Operation | None]] = {
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

_IN_PLACE = {functional.relu_, torch.relu_, operator.iadd, "relu_", "add_"}

_CALLS: Mapping[Any, Callable[..., Operation | None]] = {
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
