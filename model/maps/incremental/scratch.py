"""Memory that is used again and again."""

import bisect
import math
from collections.abc import Iterable

from torch import Tensor


class Scratch:
    """Memory for the work of one thread.

    The system hands out large pieces of memory cleared, page by page, and takes them back when they
    are freed; for windows that live for a few milliseconds, that takes longer than to fill them.
    """

    def __init__(self, like: Tensor) -> None:
        """
        Args:
            like: a tensor of the type and on the device of all that will be taken.
        """
        self._like = like
        self._free: list[Tensor] = []  # smallest first
        self._taken: dict[int, Tensor] = {}  # by address

    def take(self, *shape: int) -> Tensor:
        """A tensor with whatever values the memory holds."""
        size = math.prod(shape)
        place = bisect.bisect_left(self._free, size, key=Tensor.numel)
        if place < len(self._free):
            held = self._free.pop(place)
        else:
            # The largest of what is too small goes, so that no more is held than is needed at once.
            del self._free[-1:]
            held = self._like.new_empty(size)
        self._taken[held.data_ptr()] = held
        return held[:size].view(shape)

    def zeros(self, *shape: int) -> Tensor:
        """A tensor of zeros."""
        return self.take(*shape).zero_()

    def give_back(self, tensor: Tensor) -> None:
        """A tensor that was taken may be taken again."""
        self._release(tensor.untyped_storage().data_ptr())

    def keep_only(self, used: Iterable[Tensor]) -> None:
        """All that was taken, but what these tensors lie in, may be taken again."""
        addresses = {tensor.untyped_storage().data_ptr() for tensor in used}
        for address in self._taken.keys() - addresses:
            self._release(address)

    def _release(self, address: int) -> None:
        bisect.insort(self._free, self._taken.pop(address), key=Tensor.numel)
