"""Replace every ReLU that a network calls, without touching the network."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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


class ReplacedReLUs(TorchFunctionMode):
    """Inside the block, every call of a ReLU by any network is a call of `relu`.

    The call itself is redirected, so modules, functions, in-place and shared ReLUs are all caught,
    the network needs no hooks, and nothing has to be restored afterwards.
    """

    @abstractmethod
    def relu(self, activation: Tensor) -> Tensor:
        """Return max(activation, 0), in a new tensor."""

    def replaces(self, activation: Tensor) -> bool:
        """Return whether the call for an activation is replaced; if not, it is made as it is."""
        return True

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func in _RELU_FUNCTIONS:
            activation = args[0] if args else named["input"]
            if self.replaces(activation):
                return self.relu(activation)
        return func(*args, **named)
