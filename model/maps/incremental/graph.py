"""Operations of a network and how they are connected."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Pair = tuple[int, int]


class Unsupported(ValueError):
    """The network contains something that cannot be followed window by window; names it."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """Weight (out, in / groups, height, width), bias (out,) or None; may include batch norm."""

    weight: Tensor
    bias: Tensor | None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Scale:
    """A factor and a shift (channels,): batch norm without a convolution before it."""

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
    """`torch.nn.AdaptiveAvgPool2d`; without `keep_sides`, (B, C, 1, 1) becomes (B, C)."""

    size: tuple[int | None, int | None]
    keep_sides: bool = True


@dataclass(frozen=True)
class AdaptiveMaxPool:
    """`torch.nn.AdaptiveMaxPool2d`."""

    size: tuple[int | None, int | None]


@dataclass(frozen=True)
class Concatenation:
    """Concatenation along the channels."""


@dataclass(frozen=True)
class Sum:
    """Sum of all inputs."""


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
    """An operation and the numbers of the steps whose outputs it takes as inputs."""

    operation: Operation
    inputs: tuple[int, ...] = ()


def users(steps: Sequence[Step]) -> list[list[int]]:
    """Return, for each step, the numbers of the steps that take its output."""
    taken: list[list[int]] = [[] for _ in steps]
    for number, step in enumerate(steps):
        for source in step.inputs:
            taken[source].append(number)
    return taken


def needed(steps: list[Step], output: int) -> list[Step]:
    """Return the steps that an output depends on, renumbered."""
    wanted = {output}
    for number in range(output, -1, -1):
        if number in wanted:
            wanted.update(steps[number].inputs)
    numbers = {old: new for new, old in enumerate(sorted(wanted))}
    return [
        Step(steps[old].operation, tuple(numbers[source] for source in steps[old].inputs))
        for old in sorted(wanted)
    ]
