"""Cut, enlarge, clear and slide over windows that lie in a tensor.

The windows of a group are one tensor (rows, columns, height, width, C), zero beyond the layer's
border; their `Spans` say where they lie in the layer.
"""

from collections.abc import Callable, Iterator

from torch import Tensor

from model.maps.incremental.scratch import Scratch
from model.maps.incremental.windows import Kernel, Span, Spans


def tile(kernels: tuple[Kernel, Kernel], outputs: Spans) -> Spans:
    """Return the inputs that windows of outputs read, including padding."""
    spans = []
    for kernel, span in zip(kernels, outputs, strict=True):
        first, end = kernel.inputs_of(span.interval(0))
        spans.append(Span(first, span.step * kernel.stride, end - first))
    return spans[0], spans[1]


def fit(windows: Tensor, given: Spans, wanted: Spans, scratch: Scratch) -> Tensor:
    """Cut windows to smaller ones, or place them in larger ones, with zeros around."""
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
    """Return whether each old window contains the new one of its number, at a fixed offset."""
    return (
        old.step == new.step
        and old.first <= new.first
        and new.first + new.size <= old.first + old.size
    )


Slices = tuple[slice, slice, slice, slice]


def overlaps(
    given: Spans, wanted: Spans, counts: tuple[int, int]
) -> Iterator[tuple[Slices, Slices]]:
    """Find where given windows overlap wanted ones.

    Yields:
        Pairs of index expressions: into the wanted windows, and into the given ones.
    """
    for rows, rows_in_new, rows_in_old in _overlaps(given[0], wanted[0], counts[0]):
        for columns, columns_in_new, columns_in_old in _overlaps(given[1], wanted[1], counts[1]):
            yield (
                (rows, columns, rows_in_new, columns_in_new),
                (rows, columns, rows_in_old, columns_in_old),
            )


def _overlaps(old: Span, new: Span, count: int) -> Iterator[tuple[slice, slice, slice]]:
    """Find the overlaps along one side: which windows, where in the new, where in the old ones."""
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
    """Set everything beyond the border of the layer to zero, in place."""
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
    """Combine the inputs of every output of pooling: add them or take their maximum."""
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
