"""Learning rates: the last layer has its own, and both follow one schedule."""

import pytest
from torch import nn

from model.learning.optimisation import build_optimiser, rate_factor, set_rate


def test_the_last_layer_learns_faster_all_the_way():
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    head = {"1.weight", "1.bias"}
    optimiser = build_optimiser(network, head, rate=0.1, body_rate=0.01, weight_decay=0.0)
    of_head, of_body = optimiser.param_groups
    assert {id(p) for p in of_head["params"]} == {id(p) for p in network[1].parameters()}
    assert {id(p) for p in of_body["params"]} == {id(p) for p in network[0].parameters()}
    for share in (0.05, 0.2, 0.9):
        set_rate(optimiser, share)
        assert of_head["lr"] == pytest.approx(0.1 * rate_factor(share))
        assert of_body["lr"] == pytest.approx(0.01 * rate_factor(share))


def test_the_rate_rises_for_a_fifth_and_then_falls_to_nothing():
    factors = [rate_factor(share / 100) for share in range(101)]
    assert factors.index(max(factors)) == 20 and max(factors) == 1
    assert factors[:21] == sorted(factors[:21])
    assert factors[20:] == sorted(factors[20:], reverse=True)
    assert factors[0] == 0 and factors[-1] == pytest.approx(0)
