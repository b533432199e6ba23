"""Pass the difference that a hidden patch makes through each operation.

The difference is D = changed value - clean value, on the window that can change. Convolution,
averages, concatenation and addition are linear, so they apply to D unchanged, without bias. After a
ReLU, with y the clean value before it, D' = max(D + min(y, 0), -max(y, 0)). Max pooling needs the
changed values themselves.

Windows of a group are one tensor (rows, columns, height, width, C), zero beyond the layer's border.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from model.maps.incremental import graph
from model.maps.incremental.clean import CleanMap, apply
from model.maps.incremental.graph import users
from model.maps.incremental.planning import Group, Plan
from model.maps.incremental.scratch import Scratch
from model.maps.incremental.window_tensors import clear_beyond, fit, overlaps, slide, tile
from model.maps.incremental.windows import Span, Spans


class CleanImage:
    """The values of the clean image that the windows of every group read."""

    def __init__(self, plan: Plan, outputs: Sequence[Tensor]) -> None:
        """
        Args:
            outputs: output of every step of the plan, for a batch of this one image.
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
        """Return the maps min(y, 0) and -max(y, 0)."""
        read = [(group, group.spans(number)) for group in self.plan.groups]
        margins = self.plan.margins(number, read)
        return (
            CleanMap(value.clamp(max=0), margins, 0),
            CleanMap(-value.clamp(min=0), margins, 0),
        )

    def _around_pool(self, number: int, value: Tensor, pooled: Tensor) -> tuple[CleanMap, CleanMap]:
        """Return the maps before pooling (-∞ beyond the border) and after it."""
        plan, source = self.plan, self.plan.steps[number].inputs[0]
        outputs = [(group, plan.passage(number, group)[1]) for group in plan.groups]
        tiles = [(group, tile(plan.kernels(number), spans)) for group, spans in outputs]
        return (
            CleanMap(value, plan.margins(source, tiles), -torch.inf),
            CleanMap(pooled, plan.margins(number, outputs), 0),
        )


def average_weights(pool: graph.AveragePool, value: Tensor) -> Tensor:
    """Return the weight of one input in each output of average pooling, (1, H, W)."""
    ones = torch.ones_like(value[:1])
    kernel, stride, padding = pool.kernel, pool.stride, pool.padding
    averages = functional.avg_pool2d(
        ones[None], kernel, stride, padding, pool.ceil_mode, pool.count_include_pad, pool.divisor
    )
    counts = functional.avg_pool2d(
        ones[None], kernel, stride, padding, pool.ceil_mode, True, divisor_override=1
    )
    return (averages / counts.clamp(min=1))[0]


class GroupPass:
    """Passes one group of patches through the layers that have a height and a width."""

    def __init__(self, clean: CleanImage, group: Group, scratch: Scratch) -> None:
        self.clean = clean
        self.plan = clean.plan
        self.group = group
        self.scratch = scratch

    def run(self, hidden: Tensor) -> dict[int, Tensor]:
        """Pass differences through all these layers.

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
        """Return the difference after one step, (rows, columns, height, width, C)."""
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
        """Pass through convolution or pooling: steps whose outputs read several inputs."""
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
        """Pass through adaptive average pooling, (rows, columns, height, width, C)."""
        source = self.plan.steps[number].inputs[0]
        if self.plan.shapes[number][1:] in ((), (1, 1)):
            _, height, width = self.plan.shapes[source]
            return windows.sum(dim=(2, 3), keepdim=True) / (height * width)
        return self._pool_whole(number, self._whole(windows, source))

    def _adaptive_max_pool(self, number: int, windows: Tensor) -> Tensor:
        """Pass through adaptive max pooling, (rows, columns, height, width, C)."""
        before, after = self.clean.maps[number]
        changed = self._whole(windows, self.plan.steps[number].inputs[0]) + before.values
        return self._pool_whole(number, changed) - after.values

    def _whole(self, windows: Tensor, source: int) -> Tensor:
        """Place the windows of a layer in the whole layer."""
        _, height, width = self.plan.shapes[source]
        return self._fit(windows, source, (Span(0, 0, height), Span(0, 0, width)))

    def _pool_whole(self, number: int, layers: Tensor) -> Tensor:
        maps = layers.flatten(0, 1).permute(0, 3, 1, 2)
        pooled = apply(self.plan.steps[number].operation, [maps]).permute(0, 2, 3, 1)
        return pooled.reshape(*self.group.counts, *pooled.shape[1:])

    def _enter(self, number: int, windows: Tensor) -> Tensor:
        """Return the difference after a step whose output has no sides, (rows, columns, C)."""
        step = self.plan.steps[number]
        if isinstance(step.operation, graph.AdaptiveAveragePool):
            windows = self._average(number, windows)
        else:
            windows = self._whole(windows, step.inputs[0])
        return windows.permute(0, 1, 4, 2, 3).flatten(2)


def rectified(
    difference: Tensor, low: Tensor, high: Tensor, memory: Tensor | None = None
) -> Tensor:
    """Return the difference after a ReLU.

    Args:
        difference: before it.
        low, high: min(y, 0) and -max(y, 0) of the clean value y before it.
        memory: for the result.
    """
    changed = torch.add(difference, low, out=memory)
    return torch.maximum(changed, high, out=changed)


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """Add tensors of one shape."""
    return parts[0] + parts[-1]


def flat_differences(
    plan: Plan, outputs: Sequence[Tensor], given: Mapping[int, Tensor], products: torch.dtype
) -> Tensor:
    """Pass differences through the steps without sides, for all patches at once.

    Args:
        outputs: output of every step of the plan, for a batch of the clean image.
        given: number of a step → its difference (rows, columns, C), as `GroupPass` returns it.
        products: type in which linear layers multiply.

    Returns:
        (rows, columns, classes), the difference of the logits.
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
