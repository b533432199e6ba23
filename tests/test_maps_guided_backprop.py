"""Guided backpropagation against captum and against sums done by hand."""

import math
import warnings

import captum.attr
import pytest
import torch
from torch import nn

from model.maps.guided_backprop import (
    GuidedReLUs,
    colours_to_map,
    guided_backprop,
    softmax_gradient,
)
from model.networks import SMALL, build_network


def seeded(build, *arguments):
    torch.manual_seed(0)
    return build(*arguments).eval()


class SharedReLU(nn.Module):
    """One ReLU module and one ReLU function, each used twice, one of them in place."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.layers = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(4))

    def forward(self, x):
        for index, layer in enumerate(self.layers):
            x = layer(x)
            x = self.relu(x) if index % 2 else nn.functional.relu(x)
        return x.mean(dim=(2, 3))


class SeparateReLUs(nn.Module):
    """The same network as `SharedReLU`, with a module for each ReLU, as captum needs it."""

    def __init__(self, shared):
        super().__init__()
        parts = []
        for layer in shared.layers:
            parts += [layer, nn.ReLU()]
        self.parts = nn.Sequential(*parts)

    def forward(self, x):
        return self.parts(x).mean(dim=(2, 3))


def captum_from_logits(network, image, predicted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum says that it sets hooks
        guided = captum.attr.GuidedBackprop(nn.Sequential(network, nn.Softmax(dim=1)))
        return guided.attribute(image[None], target=predicted)[0]


@pytest.mark.parametrize("arch", [SMALL, "squeezenet1_1", "vgg11"])
def test_agrees_with_captum(arch):
    network = seeded(build_network, arch, 10).double()
    image = torch.randn(3, 64, 64, dtype=torch.float64)
    predicted = int(network(image[None]).argmax())
    ours = guided_backprop(network, image, predicted)
    theirs = captum_from_logits(network, image, predicted)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-15)


class InFloat64(nn.Module):
    def forward(self, x):
        return x.double()


def test_a_sure_network_agrees_with_captum_once_captums_softmax_has_its_digits():
    """With p = 0.9999, a float32 softmax has lost half of the digits of 1 - p."""
    network = seeded(build_network, "vgg11", 10)
    image = torch.randn(3, 64, 64)
    with torch.no_grad():
        logits = network(image[None])[0]
        predicted = int(logits.argmax())
        others = torch.cat([logits[:predicted], logits[predicted + 1 :]])
        log_odds = logits[predicted] - others.logsumexp(dim=0)
        network.classifier[-1].bias[predicted] += math.log(9999) - log_odds
    ours = guided_backprop(network, image, predicted)

    def difference(theirs):
        return float((ours - theirs).abs().max() / ours.abs().max())

    with_digits = captum_from_logits(nn.Sequential(network, InFloat64()), image, predicted)
    assert difference(with_digits) < 1e-5
    assert difference(captum_from_logits(network, image, predicted)) > 1e-4


def test_agrees_with_captum_where_one_relu_is_used_twice():
    network = seeded(SharedReLU)
    image = torch.randn(3, 12, 12)
    theirs = captum_from_logits(SeparateReLUs(network), image, 1)
    ours = guided_backprop(network, image, 1)
    torch.testing.assert_close(ours.float(), theirs, rtol=1e-4, atol=1e-9)


def test_lets_positive_gradients_to_positive_activations_pass_by_hand():
    """f = (2, 0, 3), gradient from above (5, 7, -1): only the first has both positive."""
    activation = torch.tensor([2.0, -4.0, 3.0], requires_grad=True)
    with GuidedReLUs():
        output = torch.relu(activation)
    output.backward(torch.tensor([5.0, 7.0, -1.0]))
    torch.testing.assert_close(output, torch.tensor([2.0, 0.0, 3.0]))
    torch.testing.assert_close(activation.grad, torch.tensor([5.0, 0.0, 0.0]))


def test_a_plain_relu_is_back_after_the_block_and_after_an_error():
    with pytest.raises(ZeroDivisionError), GuidedReLUs():
        raise ZeroDivisionError
    activation = torch.tensor([3.0], requires_grad=True)
    torch.relu(activation).backward(torch.tensor([-1.0]))
    assert activation.grad.item() == -1.0


def test_the_network_is_left_as_it_was_found():
    network = SharedReLU().train()
    image = torch.randn(3, 8, 8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    original = image.clone()
    guided_backprop(network, image)
    assert network.training and network.relu.inplace
    assert not network.relu._backward_hooks and not network.relu._forward_hooks
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(image, original) and not image.requires_grad


def test_works_inside_inference_and_no_grad_blocks():
    network = seeded(SharedReLU)
    image = torch.randn(3, 8, 8)
    expected = guided_backprop(network, image)
    with torch.no_grad():
        torch.testing.assert_close(guided_backprop(network, image), expected)


def test_softmax_gradient_agrees_with_autograd():
    logits = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)
    logits.softmax(dim=0)[3].backward()
    torch.testing.assert_close(softmax_gradient(logits.detach(), 3), logits.grad)


def test_softmax_gradient_keeps_its_digits_when_the_network_is_sure():
    """1 - p is 2e-22 here: 0 when subtracted, but the other probabilities sum to it."""
    gradient = softmax_gradient(torch.tensor([50.0, 0.0]), 0)
    assert gradient[0].item() == pytest.approx(1.9287498479639178e-22, rel=1e-12)
    assert gradient.sum().item() == pytest.approx(0, abs=1e-30)


def test_a_sure_network_still_has_a_map():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    with torch.no_grad():
        network[3].weight.mul_(2000)
    image = torch.randn(3, 8, 8)
    assert network(image[None]).softmax(dim=1).max() == 1
    assert guided_backprop(network, image).abs().max() > 0


def test_colours_become_one_map_by_maximum_or_mean():
    gradient = torch.tensor([[[1.0]], [[-4.0]], [[1.0]]])
    assert colours_to_map(gradient).item() == 4
    assert colours_to_map(gradient, "mean").item() == 2
