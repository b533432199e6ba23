"""List the operations of a network in order, as `torch.fx` finds them."""

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from model.maps.incremental.graph import (
    Image,
    Operation,
    Step,
    Unsupported,
    needed,
)
from model.maps.incremental.layer_readers import CALLS, IN_PLACE, MODULES, is_batch_size
from model.maps.incremental.simplification import simplify


def trace(network: nn.Module) -> list[Step]:
    """List the operations of a network in the order in which they run; the last gives the logits.

    Batch norm is folded into the convolution before it, and dropout is left out.

    Args:
        network: a network in evaluation mode.

    Raises:
        Unsupported: the network contains something that is no `Operation`.
    """
    try:
        traced = fx.symbolic_trace(network)
    except Exception as error:  # tracing runs the network's own code, which may raise anything
        raise Unsupported(f"its code cannot be traced ({error})") from error
    return simplify(_Reader(traced).read())


class _Reader:
    """Converts the nodes of a traced network to steps."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.steps: list[Step] = []
        # Number of the step that holds each node's value; an in-place operation changes it.
        self.places: dict[fx.Node, int] = {}

    def read(self) -> list[Step]:
        *nodes, output = self.traced.graph.nodes
        for node in nodes:
            self._read_node(node)
        return self._finish(output.args[0])

    def _finish(self, output: Any) -> list[Step]:
        if not isinstance(output, fx.Node) or output not in self.places:
            raise Unsupported("it returns something other than one tensor")
        return needed(self.steps, self.places[output])

    def _read_node(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if self.steps:
                raise Unsupported("it takes more than one input")
            self._add(node, Image(), ())
        elif node.op == "call_module":
            module = self.traced.get_submodule(str(node.target))
            self._read_module(node, module)
        elif is_batch_size(node):
            return  # only `view` and `reshape` use it, and they read the node itself
        elif node.op in ("call_function", "call_method"):
            self._read_call(node)
        else:
            raise Unsupported(f"it uses the tensor {node.target} outside a layer")

    def _read_module(self, node: fx.Node, module: nn.Module) -> None:
        if module.training:
            raise Unsupported(f"its {type(module).__name__} is in training mode")
        reader = MODULES.get(type(module))
        if reader is None:
            raise Unsupported(f"{type(module).__name__}")
        source = self.places[_only_tensor(node.args)]
        self._add(node, reader(module), (source,), in_place=getattr(module, "inplace", False))

    def _read_call(self, node: fx.Node) -> None:
        name = getattr(node.target, "__name__", str(node.target))
        in_place = node.kwargs.get("inplace", False) is True or node.target in IN_PLACE
        sources = self._sources(node)
        reader = CALLS.get(node.target)
        if reader is None or not sources:
            raise Unsupported(name)
        arguments = [argument for argument in node.args[1:] if argument not in self.places]
        try:
            operation = reader(*arguments, **node.kwargs)
        except TypeError as error:
            raise Unsupported(f"{name} with arguments {arguments}") from error
        self._add(node, operation, sources, in_place)

    def _sources(self, node: fx.Node) -> tuple[int, ...]:
        """Return the steps whose outputs a call takes as tensors or lists of tensors."""
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
        """Append a step; with None, the value passes unchanged."""
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
