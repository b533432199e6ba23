"""The incremental occlusion agrees with the dense loop, for every kind of layer."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import prod
from pathlib import Path
from time import sleep
from unittest import mock

import cv2
import pytest
import torch
from captum.attr import Occlusion
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from model.decoding import read
from model.image import to_tensor
from model.maps.incremental import convolution, fast_convolution, logits, planning
from model.maps.incremental.choice import FirstTimed, HiddenLogits, fastest
from model.maps.incremental.differences import CleanImage
from model.maps.incremental.fast_convolution import FastConvolution
from model.maps.incremental.graph import Unsupported
from model.maps.incremental.logits import IncrementalLogits
from model.maps.incremental.scratch import Scratch
from model.maps.incremental.threads import run_in_threads
from model.maps.occlusion import DenseLogits, patch_positions
from model.networks import build_network, load_classifier


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small work is slower in two threads, and much slower beside another busy process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    """Compare in float64, where rounding cannot hide or mimic a mistake."""
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
    """Use the fast convolution wherever possible, even if a plain one has less work."""
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
    """A part of a network with as many output as input channels."""
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
def networks(draw: st.DrawFn) -> nn.Sequential:
    channels = 4
    layers: list[nn.Module] = [draw(convolutions(3, channels)), nn.ReLU(inplace=True)]
    layers += [draw(blocks(channels)) for _ in range(draw(st.integers(1, 4)))]
    pool = draw(st.sampled_from([nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d]))
    layers += [nn.Dropout(), pool(draw(st.sampled_from([1, 2, (2, 3)])))]
    layers += [nn.Flatten(), nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(5)]
    return nn.Sequential(*layers)


def fits(network: nn.Sequential, height: int, width: int) -> bool:
    """Whether an image is large enough for every layer; initialises lazy layers."""
    values = torch.randn(1, 3, height, width)
    try:
        for layer in network.eval():
            values = layer(values)
            if not values.isfinite().all():  # a maximum of nothing but padding
                return False
    except RuntimeError:
        return False
    return True


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_networks_give_the_logits_of_the_dense_loop(data: st.DataObject):
    torch.manual_seed(data.draw(st.integers(0, 1000)))
    network = data.draw(networks())
    height, width = data.draw(st.integers(7, 29)), data.draw(st.integers(7, 29))
    assume(fits(network, height, width))
    window = data.draw(st.integers(1, min(height, width)))
    stride = data.draw(st.integers(max(1, window // 2), window))
    with always_fast() if data.draw(st.booleans()) else nullcontext():
        assert_exact(network, height, width, window, stride)


@pytest.mark.parametrize("window", [5, 6, 7])
def test_a_patch_that_is_nearly_the_image_hides_no_more_than_itself(window: int):
    layers = [nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    assert_exact(nn.Sequential(*layers), 7, 7, window=window, stride=1)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_the_padding_of_maximum_pooling_is_lower_than_any_value(ceil_mode: bool):
    lower = nn.Conv2d(3, 4, 3)
    nn.init.constant_(lower.bias, -50)
    pool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=ceil_mode)
    assert_exact(nn.Sequential(lower, pool, nn.Flatten()), 20, 21, window=4, stride=2)


@pytest.mark.parametrize("block", fast_convolution.POINTS)
@pytest.mark.parametrize("height, width", [(1, 1), (5, 9), (6, 4), (12, 7)])
def test_the_fast_convolution_is_a_convolution(block: int, height: int, width: int):
    windows = torch.randn(2, height, width, 3, dtype=torch.float64)
    weight = torch.randn(4, 3, 3, 3, dtype=torch.float64)
    found = FastConvolution(weight, block, torch.float64)(windows, Scratch(windows))
    expected = functional.conv2d(windows.permute(0, 3, 1, 2), weight, padding=2)
    torch.testing.assert_close(
        found[:, : height + 2, : width + 2], expected.permute(0, 2, 3, 1), rtol=0, atol=1e-11
    )


@pytest.mark.parametrize("block", fast_convolution.POINTS)
def test_the_fast_convolution_rounds_little(block: int):
    """The bound is 1.5 times the error in the comment at `POINTS`."""
    windows, weight = torch.randn(8, 12, 12, 64), torch.randn(64, 64, 3, 3)
    exact = functional.conv2d(windows.permute(0, 3, 1, 2).double(), weight.double(), padding=2)
    plain = functional.conv2d(windows.permute(0, 3, 1, 2), weight, padding=2)
    fast = FastConvolution(weight, block, torch.float32)(windows, Scratch(windows))
    error = (fast[:, :14, :14].permute(0, 3, 1, 2) - exact).square().mean().sqrt()
    unit = (plain - exact).square().mean().sqrt()
    assert error / unit < 1.5 * {2: 1, 3: 1.5, 4: 2.5, 5: 6, 6: 13}[block]


@pytest.mark.parametrize(
    "arch",
    ["squeezenet1_1", "resnet18", "googlenet", "densenet121", "alexnet", "mnasnet0_5"],
)
def test_torchvision_networks_are_followed(arch: str):
    torch.manual_seed(0)
    network = build_network(arch, 7)
    for norm in [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]:
        nn.init.uniform_(norm.running_mean, -0.1, 0.1)
        nn.init.uniform_(norm.bias, -0.1, 0.1)
    assert_exact(network, 75, 65, window=16, stride=16)


def test_both_threads_work_and_the_number_of_threads_is_left_as_it_was():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_exact(network, 40, 40, window=4, stride=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_an_error_in_a_thread_is_raised_and_the_number_of_threads_is_left_as_it_was():
    def fail(task: int, held: None) -> None:
        raise ArithmeticError(task)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ArithmeticError):
            run_in_threads([1, 2, 3], fail, lambda: None)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        random_norm(16),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    ).eval()


def occluded(network: nn.Module, products: torch.dtype | None = None) -> IncrementalLogits:
    return IncrementalLogits(
        network, (24, 24), range(0, 19, 3), range(0, 19, 3), 6, products=products
    )


def test_the_network_is_left_as_it_was():
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.inference_mode():
        occluded(network)(torch.randn(3, 24, 24), torch.randn(1, 3, 24, 24))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert not network.training
    network(torch.randn(2, 3, 24, 24)).sum().backward()


def test_each_fill_gives_its_own_logits_and_an_image_leaves_nothing_for_the_next():
    way = occluded(small_network())
    image, fills = torch.randn(3, 24, 24), torch.randn(2, 3, 24, 24)
    _, both = way(image, fills)
    way(torch.randn(3, 24, 24), fills)
    for fill, together in zip(fills, both, strict=True):
        torch.testing.assert_close(way(image, fill[None])[1][0], together, rtol=0, atol=0)


def test_a_fill_like_the_image_changes_nothing():
    image = torch.randn(3, 24, 24)
    clean, hidden = occluded(small_network())(image, image[None])
    torch.testing.assert_close(hidden, clean.expand_as(hidden), rtol=0, atol=0)


def test_bfloat16_rounds_only_the_differences():
    network = small_network()
    image, fills = torch.randn(3, 24, 24), torch.randn(1, 3, 24, 24)
    clean, exact = occluded(network)(image, fills)
    clean_too, rounded = occluded(network, torch.bfloat16)(image, fills)
    torch.testing.assert_close(clean, clean_too, rtol=0, atol=0)
    error = (rounded - exact).abs().max() / (exact - clean).abs().max()
    assert 0 < error < 0.03


class Overwriting(nn.Module):
    """Uses a value after an in-place operation has changed it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        early = self.first(images)
        late = self.second(functional.relu(early, inplace=True))
        late += early
        return torch.flatten(functional.adaptive_avg_pool2d(late, 1), 1)


class Functional(nn.Module):
    """Calls functions and methods where others have layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.last = nn.Linear(4 * 5 * 5, 3)

    def forward(self, images: Tensor) -> Tensor:
        features = functional.max_pool2d(torch.relu(self.first(images)), 2, stride=2)
        features = functional.avg_pool2d(features, kernel_size=3, stride=2, padding=1)
        features = functional.dropout(features, 0.5, self.training)
        return self.last(features.view(features.size(0), -1))


class Heads(nn.Module):
    """Two heads on one map, each with a ReLU of its own, added or concatenated."""

    def __init__(self, add: bool) -> None:
        super().__init__()
        self.add = add
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.heads = nn.ModuleList([nn.Linear(4, 5), nn.Linear(4, 5)])

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.features(images).mean((2, 3))
        first, second = (torch.relu(head(pooled)) for head in self.heads)
        return first + second if self.add else torch.cat([first, second], 1)


@pytest.mark.parametrize(
    "network", [Overwriting(), Functional(), Heads(add=True), Heads(add=False)]
)
def test_other_ways_to_write_a_network_are_understood(network: nn.Module):
    assert_exact(network, 21, 21, window=5, stride=3)


class Sigmoidal(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(images).mean(dim=(2, 3))


class Branching(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) if images.sum() > 0 else -images.mean((2, 3))


# The pool's two columns both lie in the padding of a map that is one column wide.
PADDING_ALONE = nn.Sequential(
    nn.Conv2d(3, 4, (1, 24)), nn.MaxPool2d(2, 1, padding=1, dilation=2), nn.ReLU(), nn.Flatten()
)


@pytest.mark.parametrize(
    "network, reason",
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3), Sigmoidal()), "sigmoid"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), Branching()), "traced"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardswish()), "Hardswish"),
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")), "reflect"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), "logits"),
        (PADDING_ALONE, "not finite"),
    ],
)
def test_what_cannot_be_followed_is_named(network: nn.Module, reason: str):
    with pytest.raises(Unsupported, match=reason):
        occluded(network.eval())


def test_layers_of_different_stride_that_are_joined_are_named():
    """A patch moves twice as far in one branch as in the other."""
    branches: list[nn.Module] = [nn.Conv2d(3, 4, 1, stride=2, padding=6), nn.Conv2d(3, 4, 7)]
    network = nn.Sequential(Parallel(branches, add=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(Unsupported, match="layers of different stride"):
        occluded(network.eval())


class Swapping(nn.Module):
    """Reads the weight of a layer directly, so its layers do not show what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.first.register_forward_hook(lambda module, given, output: -output)

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.first(images)).mean((2, 3))


def test_a_network_that_is_more_than_its_layers_is_detected():
    with pytest.raises(Unsupported, match="other logits"):
        occluded(Swapping().eval())


def dense_of(network: nn.Module) -> DenseLogits:
    return DenseLogits(network, range(0, 19, 3), range(0, 19, 3), 6)


def fastest_of(network: nn.Module, precision: str = "float32") -> HiddenLogits:
    positions = range(0, 19, 3)
    return fastest(
        network, dense_of(network), (24, 24), positions, positions, 6, precision=precision
    )


def test_a_network_that_can_be_followed_is_followed():
    assert isinstance(fastest_of(small_network()), IncrementalLogits)


def test_weights_are_prepared_once_and_not_for_each_image():
    way = occluded(small_network())
    with mock.patch.object(planning, "WindowConvolution", side_effect=AssertionError):
        for _ in range(2):
            way(torch.randn(3, 24, 24), torch.randn(1, 3, 24, 24))


def test_an_unknown_operation_is_warned_of_once_and_the_dense_loop_does_the_work():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Sigmoidal()).eval()
    with pytest.warns(RuntimeWarning, match="sigmoid") as warned:
        way = fastest_of(network)
        image, fills = torch.randn(3, 24, 24), torch.randn(1, 3, 24, 24)
        found = way(image, fills)
    assert len(warned) == 1
    torch.testing.assert_close(found, dense_of(network)(image, fills))


def test_the_dense_loop_in_bfloat16_is_near_the_exact_one():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Sigmoidal()).eval()
    image, fills = torch.randn(3, 24, 24), torch.randn(1, 3, 24, 24)
    with pytest.warns(RuntimeWarning):
        _, found = fastest_of(network, "bfloat16")(image, fills)
    torch.testing.assert_close(found, dense_of(network)(image, fills)[1], rtol=0, atol=0.02)


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"call network.eval\(\)"):
        fastest_of(small_network().train())


def test_half_precision_weights_are_refused():
    with pytest.raises(ValueError, match=r"call network.float\(\)"):
        fastest_of(small_network().bfloat16())


class Random(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return functional.dropout(images, 0.5, True).mean((2, 3))


def test_a_network_with_random_outputs_is_refused():
    with pytest.raises(ValueError, match="randomness"):
        fastest_of(nn.Sequential(nn.Conv2d(3, 4, 3), Random()).eval())


def test_memory_that_runs_out_halves_the_batch_from_then_on():
    """A GPU's memory cannot be made to run out here, so the error is simulated."""
    way = occluded(small_network())
    image, fills = torch.randn(3, 24, 24), torch.randn(1, 3, 24, 24)
    _, expected = way(image, fills)
    errors = [torch.OutOfMemoryError("played"), torch.OutOfMemoryError("played")]

    def clean_image(*given: object) -> CleanImage:
        if errors:
            raise errors.pop()
        return CleanImage(*given)

    with mock.patch.object(logits, "CleanImage", clean_image):
        _, found = way(image, fills)
    torch.testing.assert_close(found, expected)
    assert max(prod(group.counts) for group in way.plan.groups) <= planning.BATCH // 4


def test_memory_that_does_not_suffice_for_a_single_patch_is_an_error():
    way = occluded(small_network())
    image, fills = torch.randn(3, 24, 24), torch.randn(1, 3, 24, 24)
    full = mock.patch.object(logits, "CleanImage", side_effect=torch.OutOfMemoryError("played"))
    with full as begun, pytest.raises(torch.OutOfMemoryError, match="played"):
        way(image, fills)
    assert 2 ** (begun.call_count - 1) == planning.BATCH


def test_the_fastest_way_on_the_first_image_is_taken_from_then_on():
    image, fills = torch.randn(3, 24, 24), torch.randn(1, 3, 24, 24)
    slow = mock.Mock(side_effect=lambda *given: (sleep(0.05), dense(*given))[1])
    dense = dense_of(small_network())
    fast = mock.Mock(side_effect=dense)
    way = FirstTimed([slow, fast])
    for _ in range(3):
        torch.testing.assert_close(way(image, fills), dense(image, fills))
    assert (slow.call_count, fast.call_count) == (2, 5)


SHARED = Path(__file__).parents[2] / "shared"
WEIGHTS = SHARED / "checkpoints" / "squeezenet1_1-onnxzoo-d40876d4.pth"
PHOTO = SHARED / "data" / "photos" / "car_suv.jpg"


@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"no trained weights at {WEIGHTS}")
def test_trained_weights_on_a_photo_give_the_probabilities_of_captum():
    classifier = load_classifier("squeezenet1_1", str(WEIGHTS))
    picture = read(PHOTO)
    square = cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA)
    pixels = to_tensor(square, classifier.mean, classifier.std)
    fill = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    starts = patch_positions(224, 32, 32)
    way = IncrementalLogits(classifier.network, (224, 224), starts, starts, 32)
    clean, hidden = way(pixels, fill)
    predicted = int(clean.argmax())

    def probabilities(images: Tensor) -> Tensor:
        return classifier.network(images).double().softmax(dim=1)

    with torch.inference_mode():
        falls = Occlusion(probabilities).attribute(
            pixels[None],
            sliding_window_shapes=(3, 32, 32),
            strides=(3, 32, 32),
            baselines=fill,
            target=predicted,
            perturbations_per_eval=7,
        )[0, 0, ::32, ::32]
    found = clean.double().softmax(0)[predicted] - hidden[0].double().softmax(-1)[..., predicted]
    assert falls.abs().max() > 0.01
    torch.testing.assert_close(found, falls.double(), rtol=0, atol=1e-5)
