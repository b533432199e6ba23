"""How the difference that a hidden patch makes passes through each operation.

Carried from layer to layer is D = changed value - clean value, on the window that can change.
Convolution, averages, concatenation and addition are linear, so they act on D as they are, without
bias. After a ReLU, with y the clean value before it, D' = max(D + min(y, 0), -max(y, 0)). Maximum
pooling needs the changed values themselves.

Windows of a group are one tensor (rows, columns, height, width, C), zero beyond the layer's border.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from model.maps.incremental import graph
from model.maps.incremental.clean import CleanMap, apply
from model.maps.incremental.graph import users
from model.maps.incremental.planning import Group, Plan
from model.maps.incremental.scratch import Scratch
from model.maps.incremental.windows import Kernel, Span, Spans


class CleanImage:
    """What the windows of every group read from the layers of the clean image."""

    def __init__(self, plan: Plan, outputs: Sequence[Tensor]) -> None:
        """
        Args:
            outputs: of every step of the plan, for a batch of the one image.
        """
        self.plan = plan
        self.maps: dict[int, tuple[CleanMap, CleanMap]] = {}
        for number, step in enumerate(plan.steps[: plan.sided]):
            match step.operation:
                case graph.ReLU():
                    self.maps[number] = self._around_zero(number, outputs[step.inputs[0]][0])
                case graph.MaxPool():
                    before, after = outputs[step.inputs[0]][0], outputs[number][0]
                    self.maps[number] = self._around_pool(number, before, after)
                case graph.AveragePool():
                    weights = average_weights(step.operation, outputs[step.inputs[0]][0])
                    read = [(g, plan.passage(number, g)[1]) for g in plan.groups]
                    weight_map = CleanMap(weights, plan.margins(number, read), 0)
                    self.maps[number] = (weight_map, weight_map)
                case graph.AdaptiveMaxPool():
                    before, after = outputs[step.inputs[0]][0], outputs[number][0]
                    none = ((0, 0), (0, 0))
                    self.maps[number] = (CleanMap(before, none, 0), CleanMap(after, none, 0))
                case _:
                    pass

    def _around_zero(self, number: int, value: Tensor) -> tuple[CleanMap, CleanMap]:
        """min(y, 0) and -max(y, 0)."""
        read = [(group, group.spans(number)) for group in self.plan.groups]
        margins = self.plan.margins(number, read)
        return (
            CleanMap(value.clamp(max=0), margins, 0),
            CleanMap(-value.clamp(min=0), margins, 0),
        )

    def _around_pool(self, number: int, value: Tensor, pooled: Tensor) -> tuple[CleanMap, CleanMap]:
        """What is pooled, -∞ beyond the border, and what comes of it."""
        plan, source = self.plan, self.plan.steps[number].inputs[0]
        outputs = [(group, plan.passage(number, group)[1]) for group in plan.groups]
        tiles = [(group, tile(plan.kernels(number), spans)) for group, spans in outputs]
        return (
            CleanMap(value, plan.margins(source, tiles), -torch.inf),
            CleanMap(pooled, plan.margins(number, outputs), 0),
        )


def average_weights(pool: graph.AveragePool, value: Tensor) -> Tensor:
    """What one input counts in each output of average pooling, (1, H, W)."""
    ones = torch.ones_like(value[:1])
    kernel, stride, padding = pool.kernel, pool.stride, pool.padding
    averages = functional.avg_pool2d(
        ones[None], kernel, stride, padding, pool.ceil_mode, pool.count_include_pad, pool.divisor
    )
    counts = functional.avg_pool2d(
        ones[None], kernel, stride, padding, pool.ceil_mode, True, divisor_override=1
    )
    return (averages / counts.clamp(min=1))[0]


def tile(kernels: tuple[Kernel, Kernel], outputs: Spans) -> Spans:
    """The inputs that windows of outputs look at, those in the padding among them."""
    spans = []
    for kernel, span in zip(kernels, outputs, strict=True):
        first, end = kernel.inputs_of(span.interval(0))
        spans.append(Span(first, span.step * kernel.stride, end - first))
    return spans[0], spans[1]


class GroupPass:
    """One group of patches on its way through the layers that have a height and a width."""

    def __init__(self, clean: CleanImage, group: Group, scratch: Scratch) -> None:
        self.clean = clean
        self.plan = clean.plan
        self.group = group
        self.scratch = scratch

    def run(self, hidden: Tensor) -> dict[int, Tensor]:
        """Carry differences to the end.

        Args:
            hidden: (C, H, W), fill minus image.

        Returns:
            Number of each of the plan's entries → its difference (rows, columns, C).
        """
        plan = self.plan
        left = [len(taken) for taken in users(plan.steps)]
        values = {0: self._begin(hidden)}
        found: dict[int, Tensor] = {}
        for number in [*range(1, plan.sided), *plan.entries]:
            sources = plan.steps[number].inputs
            given = [values[source] for source in sources]
            if number < plan.sided:
                values[number] = self._pass(number, given)
            else:
                found[number] = self._enter(number, given[0])
            for source in sources:
                left[source] -= 1
                if not left[source]:
                    del values[source]
            self.scratch.keep_only(values.values())
        return found

    def _begin(self, hidden: Tensor) -> Tensor:
        pixels = CleanMap(hidden, ((0, 0), (0, 0)), beyond=0)
        return pixels.windows(self.group.spans(0), self.group.counts)

    def _pass(self, number: int, given: Sequence[Tensor]) -> Tensor:
        """Difference after one step, (rows, columns, height, width, C)."""
        step = self.plan.steps[number]
        spans = self.group.spans(number)
        if len(given) > 1:
            given = [
                self._fit(part, source, spans)
                for part, source in zip(given, step.inputs, strict=True)
            ]
        match step.operation:
            case graph.ReLU():
                low, high = (m.windows(spans, self.group.counts) for m in self.clean.maps[number])
                memory = self.scratch.take(*low.shape)
                return rectified(given[0], low, high, memory)
            case graph.Scale(factor, _):
                return given[0] * factor.to(given[0].dtype)
            case graph.Sum():
                return sum_of(given)
            case graph.Concatenation():
                return torch.cat(list(given), dim=-1)
            case graph.AdaptiveAveragePool():
                return self._average(number, given[0])
            case graph.AdaptiveMaxPool():
                return self._adaptive_max_pool(number, given[0])
            case _:
                return self._through_kernel(number, given[0])

    def _fit(self, windows: Tensor, source: int, spans: Spans) -> Tensor:
        return fit(windows, self.group.spans(source), spans, self.scratch)

    def _through_kernel(self, number: int, windows: Tensor) -> Tensor:
        """Convolution and pooling: the steps whose outputs look at several inputs."""
        inputs, outputs = self.plan.passage(number, self.group)
        windows = self._fit(windows, self.plan.steps[number].inputs[0], inputs)
        match self.plan.steps[number].operation:
            case graph.Convolution():
                convolution = self.plan.convolutions[number]
                found = convolution(windows.flatten(0, 1), inputs, outputs, self.scratch)
                result = found.view(*self.group.counts, *found.shape[1:])
            case graph.MaxPool(rectify=rectify):
                result = self._max_pool(number, windows, inputs, outputs, rectify)
            case graph.AveragePool():
                kernels = self.plan.kernels(number)
                tiles = fit(windows, inputs, tile(kernels, outputs), self.scratch)
                sums = slide(tiles, kernels, outputs, torch.add)
                weights, _ = self.clean.maps[number]
                result = sums * weights.windows(outputs, self.group.counts)
            case operation:
                raise TypeError(f"{operation} has no kernel")
        _, height, width = self.plan.shapes[number]
        clear_beyond(result, outputs, (height, width))
        return fit(result, outputs, self.group.spans(number), self.scratch)

    def _max_pool(
        self, number: int, windows: Tensor, inputs: Spans, outputs: Spans, rectify: bool
    ) -> Tensor:
        kernels = self.plan.kernels(number)
        before, after = self.clean.maps[number]
        tiles = tile(kernels, outputs)
        clean = before.windows(tiles, self.group.counts)
        changed = self.scratch.take(*clean.shape).copy_(clean)
        for target, part in overlaps(inputs, tiles, self.group.counts):
            changed[target] += windows[part]
        pooled = slide(changed, kernels, outputs, torch.maximum)
        if rectify:
            pooled = pooled.clamp(min=0)
        return pooled - after.windows(outputs, self.group.counts)

    def _average(self, number: int, windows: Tensor) -> Tensor:
        """Adaptive average pooling, (rows, columns, height, width, C)."""
        source = self.plan.steps[number].inputs[0]
        if self.plan.shapes[number][1:] in ((), (1, 1)):
            _, height, width = self.plan.shapes[source]
            return windows.sum(dim=(2, 3), keepdim=True) / (height * width)
        return self._pool_whole(number, self._whole(windows, source))

    def _adaptive_max_pool(self, number: int, windows: Tensor) -> Tensor:
        """Adaptive maximum pooling, (rows, columns, height, width, C)."""
        before, after = self.clean.maps[number]
        changed = self._whole(windows, self.plan.steps[number].inputs[0]) + before.values
        return self._pool_whole(number, changed) - after.values

    def _whole(self, windows: Tensor, source: int) -> Tensor:
        """Put the windows of a layer into the whole layer."""
        _, height, width = self.plan.shapes[source]
        return self._fit(windows, source, (Span(0, 0, height), Span(0, 0, width)))

    def _pool_whole(self, number: int, layers: Tensor) -> Tensor:
        maps = layers.flatten(0, 1).permute(0, 3, 1, 2)
        pooled = apply(self.plan.steps[number].operation, [maps]).permute(0, 2, 3, 1)
        return pooled.reshape(*self.group.counts, *pooled.shape[1:])

    def _enter(self, number: int, windows: Tensor) -> Tensor:
        """Difference after a step that has no sides any more, (rows, columns, C)."""
        step = self.plan.steps[number]
        if isinstance(step.operation, graph.AdaptiveAveragePool):
            windows = self._average(number, windows)
        else:
            windows = self._whole(windows, step.inputs[0])
        return windows.permute(0, 1, 4, 2, 3).flatten(2)


def rectified(
    difference: Tensor, low: Tensor, high: Tensor, memory: Tensor | None = None
) -> Tensor:
    """Difference after a ReLU, from low = min(y, 0) and high = -max(y, 0) of the clean value y."""
    changed = torch.add(difference, low, out=memory)
    return torch.maximum(changed, high, out=changed)


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """Add tensors of one shape."""
    total = parts[0] + parts[-1]
    for part in parts[1:-1]:
        total += part
    return total


def flat_differences(
    plan: Plan, outputs: Sequence[Tensor], given: Mapping[int, Tensor], products: torch.dtype
) -> Tensor:
    """Carry differences through the steps without sides, for all patches at once.

    Args:
        outputs: of every step of the plan, for a batch of the clean image.
        given: number of a step → its difference (rows, columns, C), as `GroupPass` found it.
        products: type of the numbers that linear layers multiply.

    Returns:
        (rows, columns, classes), of the logits.
    """
    values = dict(given)
    for number, step in enumerate(plan.steps[plan.sided :], plan.sided):
        if number in values:
            continue
        parts = [values[source] for source in step.inputs]
        match step.operation:
            case graph.Linear(weight, _):
                product = functional.linear(parts[0].to(products), weight.to(products))
                values[number] = product.to(weight.dtype)
            case graph.ReLU():
                clean = outputs[step.inputs[0]][0]
                values[number] = rectified(parts[0], clean.clamp(max=0), -clean.clamp(min=0))
            case graph.Sum():
                values[number] = sum_of(parts)
            case graph.Concatenation():
                values[number] = torch.cat(parts, dim=-1)
            case operation:
                raise TypeError(f"{operation} needs a height and a width")
    return values[len(plan.steps) - 1]


def fit(windows: Tensor, given: Spans, wanted: Spans, scratch: Scratch) -> Tensor:
    """Cut windows to others, or put them into larger ones, with zeros around."""
    if given == wanted:
        return windows
    if all(_holds(old, new) for old, new in zip(given, wanted, strict=True)):
        for dimension, (old, new) in enumerate(zip(given, wanted, strict=True), start=2):
            windows = windows.narrow(dimension, new.first - old.first, new.size)
        return windows
    counts = (windows.shape[0], windows.shape[1])
    shape = (*counts, wanted[0].size, wanted[1].size, windows.shape[-1])
    fitted = scratch.zeros(*shape)
    for target, part in overlaps(given, wanted, counts):
        fitted[target] = windows[part]
    return fitted


def _holds(old: Span, new: Span) -> bool:
    """Whether windows hold others, each in the same place."""
    return (
        old.step == new.step
        and old.first <= new.first
        and new.first + new.size <= old.first + old.size
    )


Slices = tuple[slice, slice, slice, slice]


def overlaps(
    given: Spans, wanted: Spans, counts: tuple[int, int]
) -> Iterator[tuple[Slices, Slices]]:
    """Pairs of index expressions: where windows lie in others, and the part that does."""
    for rows, rows_in_new, rows_in_old in _overlaps(given[0], wanted[0], counts[0]):
        for columns, columns_in_new, columns_in_old in _overlaps(given[1], wanted[1], counts[1]):
            yield (
                (rows, columns, rows_in_new, columns_in_new),
                (rows, columns, rows_in_old, columns_in_old),
            )


def _overlaps(old: Span, new: Span, count: int) -> Iterator[tuple[slice, slice, slice]]:
    """Along one side: which windows, where in the new ones, and which part of the old ones."""
    together = old.step == new.step
    for index in range(1 if together else count):
        old_begin, old_end = old.interval(index)
        new_begin, new_end = new.interval(index)
        begin, end = max(old_begin, new_begin), min(old_end, new_end)
        if begin < end:
            members = slice(None) if together else slice(index, index + 1)
            yield (
                members,
                slice(begin - new_begin, end - new_begin),
                slice(begin - old_begin, end - old_begin),
            )


def clear_beyond(windows: Tensor, spans: Spans, lengths: tuple[int, int]) -> None:
    """Set to zero, in place, what lies beyond the border of the layer."""
    for side, (span, length) in enumerate(zip(spans, lengths, strict=True)):
        for index in range(windows.shape[side]):
            begin, end = span.interval(index)
            one = windows.select(side, index)
            if begin < 0:
                one.narrow(1 + side, 0, min(-begin, span.size)).zero_()
            if end > length:
                beyond = min(end - length, span.size)
                one.narrow(1 + side, span.size - beyond, beyond).zero_()


def slide(
    tiles: Tensor,
    kernels: tuple[Kernel, Kernel],
    outputs: Spans,
    combine: Callable[..., Tensor],
) -> Tensor:
    """Combine (add or take the maximum of) the inputs of every output of pooling."""
    for dimension, (kernel, span) in enumerate(zip(kernels, outputs, strict=True), start=2):
        places = (span.size - 1) * kernel.stride + 1
        parts = [
            tiles[(slice(None),) * dimension + (slice(start, start + places, kernel.stride),)]
            for start in range(0, kernel.reach + 1, kernel.dilation)
        ]
        tiles = parts[0] if len(parts) == 1 else combine(parts[0], parts[1])
        for part in parts[2:]:
            tiles = combine(tiles, part, out=tiles)
    return tiles
