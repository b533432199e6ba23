"""Class evidence inside a network, against captum and by hand."""

import pytest
import torch
from captum.attr import LayerGradientXActivation
from torch import nn

from model.maps.class_activation import MirroredRun, StageRun, stage_height
from model.networks import build_network


@pytest.fixture
def network():
    torch.manual_seed(5)
    return build_network("small", 3)


@pytest.fixture
def image():
    return torch.randn((3, 64, 64), generator=torch.Generator().manual_seed(2))


def class_activation(network, image, predicted, *, stride):
    """Evidence in one image, (h, w)."""
    height = stage_height(network, image[None], stride)
    [found] = StageRun(network, image[None], height).evidence(predicted)
    return found


def flip_averaged(network, image, predicted, *, stride):
    """Evidence in an image and its mirror image, (h, w)."""
    height = stage_height(network, image[None], stride)
    return MirroredRun(network, image, height).evidence(predicted)


def test_it_is_captums_gradient_times_activation_where_that_is_positive(image):
    network = build_network("vgg11", 3)  # its first ReLU is the only one at full resolution
    ours = class_activation(network, image, 1, stride=1)
    for part in network.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False
    product = LayerGradientXActivation(network, network.features[1]).attribute(
        image[None], target=1
    )
    theirs = product[0].clamp(min=0).sum(dim=0)
    assert theirs.max() > 0
    torch.testing.assert_close(ours, theirs.double(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("stride", "side"), [(1, 32), (4, 16), (16, 4), (1000, 4)])
def test_the_resolution_nearest_to_the_stride_is_taken(network, image, stride, side):
    assert class_activation(network, image, 0, stride=stride).shape == (side, side)


def test_layers_of_one_resolution_are_summed():
    """y = mean(relu(x) + relu(2 x)): each layer carries its own share of the logit."""

    class Twice(nn.Module):
        def forward(self, x):
            first = torch.relu(x)
            second = nn.functional.relu(2 * x)
            return (first + second).mean(dim=(2, 3))

    pixels = torch.zeros((3, 2, 2))
    pixels[0] = torch.tensor([[1.0, 2.0], [-3.0, 0.0]])
    found = class_activation(Twice(), pixels, 0, stride=1)
    torch.testing.assert_close(found, torch.tensor([[3.0, 6.0], [0, 0]]).double() / 4)


def test_a_layer_that_does_not_reach_the_logits_adds_nothing():
    class Auxiliary(nn.Module):
        def forward(self, x):
            torch.relu(3 * x)  # as an auxiliary output, which only training reads
            return torch.relu(x).mean(dim=(2, 3))

    pixels = torch.zeros((3, 2, 2))
    pixels[0] = torch.tensor([[1.0, 2.0], [-3.0, 0.0]])
    found = class_activation(Auxiliary(), pixels, 0, stride=1)
    torch.testing.assert_close(found, torch.tensor([[1.0, 2.0], [0, 0]]).double() / 4)


def test_the_mirror_image_has_the_mirrored_map(network, image):
    one = flip_averaged(network, image, 0, stride=16)
    other = flip_averaged(network, image.flip(2), 0, stride=16)
    torch.testing.assert_close(one, other.flip(1))


def test_one_pass_gives_the_logits_and_the_evidence_in_every_image(network, image):
    other = torch.randn(image.shape, generator=torch.Generator().manual_seed(7))
    images = torch.stack([image, other])
    height = stage_height(network, image[None], 16)
    run = StageRun(network, images, height)
    with torch.no_grad():
        torch.testing.assert_close(run.logits, network(images))
    alone = torch.stack([class_activation(network, each, 1, stride=16) for each in images])
    torch.testing.assert_close(run.evidence(1), alone, rtol=1e-5, atol=1e-7)


def test_gradients_reach_no_layer_before_the_stage(network, image):
    height = stage_height(network, image[None], 16)
    seen = []
    first = next(each for each in network.modules() if isinstance(each, nn.Conv2d))
    handle = first.register_forward_hook(lambda *given: seen.append(given[2].requires_grad))
    run = StageRun(network, image[None], height)
    handle.remove()
    assert seen == [False]
    assert run.evidence(0).max() > 0
    assert torch.is_grad_enabled()


def test_a_network_that_changes_an_activation_in_place_changes_no_evidence():
    class InPlace(nn.Module):
        def forward(self, x):
            hidden = torch.relu(x)
            return hidden.mul_(2).mean(dim=(2, 3))

    pixels = torch.zeros((3, 2, 2))
    pixels[0] = torch.tensor([[1.0, 2.0], [-3.0, 0.0]])
    found = class_activation(InPlace(), pixels, 0, stride=1)
    torch.testing.assert_close(found, torch.tensor([[2.0, 4.0], [0, 0]]).double() / 4)


def test_a_network_without_maps_is_refused():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12, 2), nn.ReLU())
    with pytest.raises(ValueError, match="ReLU layers before its pooling"):
        class_activation(flat, torch.zeros((3, 2, 2)), 0, stride=1)


def test_the_network_is_left_as_it_was(network, image):
    class_activation(network, image, 0, stride=16)
    assert network.relu1.inplace
    assert all(weight.grad is None and weight.requires_grad for weight in network.parameters())
