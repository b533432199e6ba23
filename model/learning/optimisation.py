"""The optimiser of a training, and the schedule of its learning rates."""

from collections.abc import Set

import numpy as np
import torch
from torch import nn

RISE = 0.2  # share of the training in which the learning rate rises


def build_optimiser(
    network: nn.Module, head: Set[str], *, rate: float, body_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Build AdamW with one learning rate for the last layer and another for all others.

    Args:
        head: names of the last layer's parameters.
        rate: highest learning rate of the last layer.
        body_rate: highest learning rate of all other layers.
    """
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in network.named_parameters():
        groups[name in head].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "highest": rate},
            {"params": groups[False], "highest": body_rate},
        ],
        lr=rate,
        weight_decay=weight_decay,
    )


def rate_factor(share: float) -> float:
    """Return the learning rate as a share of the highest one.

    It rises in a straight line during the first fifth of the training, then falls to 0 along a
    cosine.

    Args:
        share: how much of the training is done, in [0, 1].

    >>> [round(rate_factor(share), 3) for share in (0.1, 0.2, 0.6, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if share < RISE:
        return share / RISE
    return 0.5 + 0.5 * float(np.cos(np.pi * (share - RISE) / (1 - RISE)))


def set_rate(optimiser: torch.optim.Optimizer, share: float) -> None:
    """Set the learning rates for a point of the training; see `rate_factor`."""
    for group in optimiser.param_groups:
        group["lr"] = rate_factor(share) * group["highest"]
