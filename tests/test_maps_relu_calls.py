"""Every way to call a ReLU is redirected, and nothing else."""

import pytest
import torch
from torch import nn

from model.maps.relu_calls import ReplacedReLUs


class Doubled(ReplacedReLUs):
    """Shows where it was called: twice the activation, also where that is negative."""

    def relu(self, activation):
        return 2 * activation


CALLS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "function": nn.functional.relu,
    "function in place": nn.functional.relu_,
    "keyword": lambda x: nn.functional.relu(input=x),
    "torch": torch.relu,
    "torch in place": torch.relu_,
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_relu_is_redirected_inside_the_block_alone(call):
    with Doubled():
        torch.testing.assert_close(call(torch.tensor([-1.0, 3.0])), torch.tensor([-2.0, 6.0]))
    torch.testing.assert_close(call(torch.tensor([-1.0, 3.0])), torch.tensor([0.0, 3.0]))


def test_other_functions_are_left_alone():
    with Doubled():
        assert torch.sigmoid(torch.zeros(1)).item() == 0.5
        assert nn.functional.leaky_relu(torch.tensor([-1.0]), 0.1).item() == pytest.approx(-0.1)
