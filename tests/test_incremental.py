"""The incremental occlusion gives what the dense loop gives, for every kind of layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from model.incremental import convolution, fast_convolution
from model.incremental.fast_convolution import FastConvolution
from model.incremental.graph import Unsupported
from model.incremental.logits import IncrementalLogits
from model.incremental.scratch import Scratch
from model.networks import build_network
from model.occlusion import patch_positions


def dense_logits(
    network: nn.Module, image: Tensor, fill: Tensor, window: int, stride: int
) -> Tensor:
    """Logits (rows, columns, classes), by hiding one patch after the other."""
    tops = patch_positions(image.shape[1], window, stride)
    lefts = patch_positions(image.shape[2], window, stride)
    images = []
    for top in tops:
        for left in lefts:
            hidden = image.clone()
            patch = (slice(None), slice(top, top + window), slice(left, left + window))
            hidden[patch] = fill[patch]
            images.append(hidden)
    with torch.inference_mode():
        logits = torch.cat([network(part) for part in torch.stack(images).split(64)])
    return logits.view(len(tops), len(lefts), -1)


def incremental_logits(
    network: nn.Module, image: Tensor, fill: Tensor, window: int, stride: int
) -> Tensor:
    height, width = image.shape[1:]
    tops, lefts = (patch_positions(side, window, stride) for side in (height, width))
    occluded = IncrementalLogits(network, (height, width), tops, lefts, window)
    clean, hidden = occluded(image, fill[None])
    torch.testing.assert_close(clean, network(image[None])[0], rtol=1e-4, atol=1e-4)
    return hidden[0]


def assert_exact(network: nn.Module, height: int, width: int, window: int, stride: int) -> None:
    """In float64, so that nothing but a mistake can make a difference."""
    network = network.double().eval()
    image = torch.randn(3, height, width, dtype=torch.float64)
    fill = torch.randn(3, height, width, dtype=torch.float64)
    with torch.inference_mode():
        found = incremental_logits(network, image, fill, window, stride)
        expected = dense_logits(network, image, fill, window, stride)
    scale = float(expected.abs().max()) or 1.0
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=1e-10)


@contextmanager
def always_fast() -> Iterator[None]:
    """Let every convolution that can be fast be fast, also where a plain one would have less work."""
    with mock.patch.object(convolution, "SLOWER", 0):
        yield


class Parallel(nn.Module):
    """Branches on one input, concatenated or added."""

    def __init__(self, branches: list[nn.Module], add: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.add = add

    def forward(self, given: Tensor) -> Tensor:
        outputs = [branch(given) for branch in self.branches]
        return outputs[0] + outputs[1] if self.add else torch.cat(outputs, 1)


def random_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    nn.init.uniform_(norm.weight, -1.5, 1.5)
    nn.init.normal_(norm.bias)
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


@st.composite
def convolutions(draw: st.DrawFn, channels: int, outputs: int) -> nn.Conv2d:
    groups = draw(st.sampled_from([1, 1, channels if outputs % channels == 0 else 1]))
    return nn.Conv2d(
        channels,
        outputs,
        (draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        stride=draw(st.sampled_from([1, 1, 2, 3])),
        padding=(draw(st.integers(0, 3)), draw(st.integers(0, 3))),
        dilation=draw(st.integers(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
    )


@st.composite
def pools(draw: st.DrawFn) -> nn.Module:
    kernel = draw(st.integers(2, 4))
    options = {
        "stride": draw(st.integers(1, 3)),
        "padding": draw(st.integers(0, kernel // 2)),
        "ceil_mode": draw(st.booleans()),
    }
    if draw(st.booleans()):
        return nn.MaxPool2d(kernel, dilation=draw(st.integers(1, 2)), **options)
    return nn.AvgPool2d(
        kernel,
        count_include_pad=draw(st.booleans()),
        divisor_override=draw(st.sampled_from([None, 3])),
        **options,
    )


@st.composite
def blocks(draw: st.DrawFn, channels: int) -> nn.Module:
    """A piece of a network that leaves as many channels as it takes."""
    kind = draw(st.sampled_from(["convolution", "norm", "pool", "concatenation", "sum", "relu"]))
    if kind == "relu":
        return nn.ReLU(inplace=draw(st.booleans()))
    if kind == "norm":
        return random_norm(channels)
    if kind == "pool":
        return draw(pools())
    if kind == "convolution":
        layers = [draw(convolutions(channels, channels)), random_norm(channels), nn.ReLU()]
        return nn.Sequential(*layers[: draw(st.integers(1, 3))])
    half = channels if kind == "sum" else channels // 2
    kernel = draw(st.sampled_from([1, 3, 5]))
    branches: list[nn.Module] = [
        nn.Sequential(nn.Conv2d(channels, half, 1), nn.ReLU()),
        nn.Conv2d(channels, half, kernel, padding=kernel // 2, padding_mode="zeros"),
    ]
    if kind == "sum" and draw(st.booleans()):
        branches[0] = nn.Identity()
    return nn.Sequential(Parallel(branches, add=kind == "sum"), nn.ReLU(inplace=True))


@st.composite
def networks(draw: st.DrawFn) -> nn.Module:
    channels = 4
    layers: list[nn.Module] = [draw(convolutions(3, channels)), nn.ReLU(inplace=True)]
    layers += [draw(blocks(channels)) for _ in range(draw(st.integers(1, 4)))]
    pool = draw(st.sampled_from([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d]))
    layers += [nn.Dropout(), pool(draw(st.sampled_from([1, 2, (2, 3)])))]
    layers += [nn.Flatten(), nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(5)]
    return nn.Sequential(*layers)


def fits(network: nn.Module, height: int, width: int) -> bool:
    """Whether an image is large enough for a network; sets its lazy layers up."""
    try:
        network.eval()(torch.randn(1, 3, height, width))
    except RuntimeError:
        return False
    return True


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_networks_give_the_logits_of_the_dense_loop(data: st.DataObject):
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    network = data.draw(networks())
    height, width = data.draw(st.integers(7, 33)), data.draw(st.integers(7, 33))
    assume(fits(network, height, width))
    window = data.draw(st.integers(1, 7))
    stride = data.draw(st.integers(1, window))
    if data.draw(st.booleans()):
        with always_fast():
            assert_exact(network, height, width, window, stride)
    else:
        assert_exact(network, height, width, window, stride)
