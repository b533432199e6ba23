"""Each layer and call becomes an operation that computes the same, or is refused by name."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.maps.incremental.clean import clean_outputs
from model.maps.incremental.graph import Unsupported
from model.maps.incremental.tracing import trace


class Views(nn.Module):
    """Reshapes to (batch size, -1), with the batch size from the shape."""

    def forward(self, images: Tensor) -> Tensor:
        return images.view(images.shape[0], -1)


def norm(**options: bool) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(3, **options)
    if layer.running_mean is not None and layer.running_var is not None:
        nn.init.normal_(layer.running_mean)
        nn.init.uniform_(layer.running_var, 0.5, 2)
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, padding="valid"),
        nn.Conv2d(3, 4, (3, 5), padding="same"),
        nn.Conv2d(3, 4, 3, padding="same", dilation=2),
        nn.Conv2d(3, 4, 2, padding="same", dilation=2),
        norm(affine=False),
        Views(),
    ],
)
def test_a_layer_computes_the_same_as_its_operation(layer: nn.Module):
    torch.manual_seed(0)
    images = torch.randn(2, 3, 9, 8)
    found = clean_outputs(trace(nn.Sequential(layer).eval()), images)[-1]
    torch.testing.assert_close(found, layer(images))


@pytest.mark.parametrize(
    "layer, reason",
    [
        (nn.Conv2d(3, 4, 2, padding="same"), "kernel of even size"),
        (norm(track_running_stats=False), "without running statistics"),
        (nn.MaxPool2d(2, return_indices=True), "returns indices"),
        (nn.AdaptiveMaxPool2d(2, return_indices=True), "returns indices"),
        (nn.Flatten(2), "flatten from dimension 2 to -1"),
    ],
)
def test_a_layer_without_an_operation_is_named(layer: nn.Module, reason: str):
    with pytest.raises(Unsupported, match=reason):
        trace(nn.Sequential(layer).eval())


class Calling(nn.Module):
    """Applies a function to the features of its only layer."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.features = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        match self.name:
            case "mean over channels":
                return features.mean((1, 2))
            case "fixed batch size":
                return features.view(2, -1)
            case "rows of channels":
                return features.view(features.size(0), 4, -1)
            case "cat of rows":
                return torch.cat([features, features], 2)
            case "weighted sum":
                return torch.add(features, features, alpha=2)
            case "sum with a number":
                return features + 1
        return functional.avg_pool2d(features, (images.size(0), 1))


@pytest.mark.parametrize(
    "name, reason",
    [
        ("mean over channels", r"mean over the dimensions \(1, 2\)"),
        ("fixed batch size", r"anything but \(batch size, -1\)"),
        ("rows of channels", r"anything but \(batch size, -1\)"),
        ("cat of rows", "concatenation along dimension 2"),
        ("weighted sum", "other than two plain tensors"),
        ("sum with a number", "other than two plain tensors"),
        ("pool as high as the batch", "avg_pool2d with arguments"),
    ],
)
def test_a_call_without_an_operation_is_named(name: str, reason: str):
    network = Calling(name).eval()
    network(torch.randn(2, 3, 9, 8))  # torch itself computes it
    with pytest.raises(Unsupported, match=reason):
        trace(network)
