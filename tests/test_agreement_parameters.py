"""The thresholds of the report."""

import json
from dataclasses import FrozenInstanceError, fields

import pytest

from backend.agreement.parameters import AgreementParameters
from backend.verdicts import judging


def test_every_parameter_is_described_in_one_line():
    described = AgreementParameters(tau=0.5).described()
    assert [each.name for each in described] == [each.name for each in fields(AgreementParameters)]
    assert ("tau", 0.5) in [(each.name, each.value) for each in described]
    for each in described:
        assert each.documentation.endswith(".")
        assert "\n" not in each.documentation


def test_the_json_has_every_parameter_and_what_is_no_number():
    method = AgreementParameters(tau=0.5, alphas=(0.1, 0.2)).as_method()
    names = {each.name for each in fields(AgreementParameters)}
    assert method.keys() - names == {"cluster", "normaliser"}
    assert names <= method.keys()
    assert (method["tau"], method["alphas"]) == (0.5, [0.1, 0.2])
    assert json.loads(json.dumps(method)) == method


def test_thresholds_of_the_verdicts_themselves_are_those_that_verdicts_are_made_with():
    parameters = AgreementParameters()
    assert parameters.untouched == judging.UNTOUCHED
    assert (parameters.near, parameters.gate) == (judging.NEAR, judging.GATE)
    assert parameters.sigma == judging.SIGMA


def test_parameters_are_never_changed():
    with pytest.raises(FrozenInstanceError):
        AgreementParameters().tau = 1.0  # type: ignore[misc]
