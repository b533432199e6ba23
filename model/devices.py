"""Where a network runs: on the GPU if torch finds one, and on the processor otherwise."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def on_fastest_device(network: nn.Module) -> nn.Module:
    """Return the network itself, or a copy on the GPU if there is one and the network is not.

    From then on, convolutions on the GPU of this process multiply in full float32. By default they
    would round to TF32, whose 10 bits move keypoints.
    """
    if not torch.cuda.is_available():
        return network
    torch.backends.cudnn.allow_tf32 = False
    if next(network.parameters()).is_cuda:
        return network
    return copy.deepcopy(network).to("cuda")


def device_of(network: nn.Module) -> torch.device:
    """Return the device that holds a network's weights."""
    return next(network.parameters()).device


def device_name(network: nn.Module) -> str:
    """Return where a network runs, as in `NVIDIA H100 80GB HBM3`; `CPU` for the processor."""
    device = device_of(network)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


@contextmanager
def memory_errors() -> Iterator[None]:
    """Inside the block, a GPU that is out of memory is a MemoryError, as a full main memory is."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error
