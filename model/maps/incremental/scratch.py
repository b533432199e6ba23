"""Reuse memory instead of allocating it."""

import bisect
import math
from collections.abc import Iterable

from torch import Tensor


class Scratch:
    """A pool of memory for one thread.

    The system clears large allocations page by page and takes them back when they are freed; for
    windows that live for a few milliseconds, that takes longer than filling them.
    """

    def __init__(self, like: Tensor) -> None:
        """
        Args:
            like: a tensor with the type and the device of all tensors to come.
        """
        self._like = like
        self._free: list[Tensor] = []  # smallest first
        self._taken: dict[int, Tensor] = {}  # by address

    def take(self, *shape: int) -> Tensor:
        """Return a tensor of this shape, uninitialised."""
        size = math.prod(shape)
        place = bisect.bisect_left(self._free, size, key=Tensor.numel)
        if place < len(self._free):
            held = self._free.pop(place)
        else:
            # Free the largest piece that is too small, so that the pool does not outgrow the need.
            del self._free[-1:]
            held = self._like.new_empty(size)
        self._taken[held.data_ptr()] = held
        return held[:size].view(shape)

    def zeros(self, *shape: int) -> Tensor:
        """Return a tensor of zeros of this shape."""
        return self.take(*shape).zero_()

    def release(self, tensor: Tensor) -> None:
        """Return a tensor's memory to the pool."""
        self._release(tensor.untyped_storage().data_ptr())

    def keep_only(self, used: Iterable[Tensor]) -> None:
        """Return all memory to the pool except that of these tensors."""
        addresses = {tensor.untyped_storage().data_ptr() for tensor in used}
        for address in self._taken.keys() - addresses:
            self._release(address)

    def _release(self, address: int) -> None:
        bisect.insort(self._free, self._taken.pop(address), key=Tensor.numel)
