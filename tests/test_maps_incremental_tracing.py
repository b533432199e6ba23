"""A network that is more than a chain of known operations on one image is refused by name."""

import pytest
import torch
from torch import Tensor, nn

from model.maps.incremental.graph import Unsupported
from model.maps.incremental.tracing import trace


class Network(nn.Module):
    """One convolution and one parameter outside of any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.factor = nn.Parameter(torch.ones(1))


class Pair(Network):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)
        return features, features


class Nothing(Network):
    def forward(self, images: Tensor) -> None:
        self.features(images)


class Constant(Network):
    def forward(self, images: Tensor) -> Tensor:
        return torch.ones(1, 4)


class TwoInputs(Network):
    def forward(self, images: Tensor, others: Tensor) -> Tensor:
        return self.features(images + others)


class OwnParameter(Network):
    def forward(self, images: Tensor) -> Tensor:
        return self.features(images) + self.factor


class Keyword(Network):
    def forward(self, images: Tensor) -> Tensor:
        return self.features(input=images)


@pytest.mark.parametrize(
    "network, reason",
    [
        (Pair(), "other than one tensor"),
        (Nothing(), "other than one tensor"),
        (Constant(), "outside a layer"),
        (TwoInputs(), "more than one input"),
        (OwnParameter(), "the tensor factor outside a layer"),
        (Keyword(), "a layer of several inputs"),
    ],
)
def test_a_network_that_cannot_be_listed_is_refused_with_the_reason(
    network: nn.Module, reason: str
):
    with pytest.raises(Unsupported, match=reason):
        trace(network.eval())


def test_a_layer_that_was_left_in_training_mode_is_named():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    network[1].train()
    with pytest.raises(Unsupported, match="BatchNorm2d is in training mode"):
        trace(network)
