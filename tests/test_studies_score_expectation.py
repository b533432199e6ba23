"""What scores are expected to look like, learnt from images for choices."""

import dataclasses

import numpy as np
from naming_scene import examples
from small_weights import save_small_network
from test_studies_work_saved import drawn_data_set

from model.naming.evidence import FIGURES
from studies.__main__ import main
from studies.naming.score_expectation import (
    LENGTH,
    as_code,
    expectation,
    found_in,
    sequences,
)


def birds(count):
    groups = ("finch", "crow")
    return [
        dataclasses.replace(each, group=groups[number % 2])
        for number, each in enumerate(examples(count))
    ]


def test_each_class_and_all_together_have_as_many_sequences():
    found = list(sequences(birds(40), 3))
    assert len(found) == 12
    assert {len(each) for each in found} == {LENGTH + 1}
    assert sum(len({example.group for example in each}) == 1 for each in found) == 6


def test_every_example_but_the_first_is_found_by_those_before_it():
    found = found_in(birds(4))
    assert len(found) == 3
    assert all(each.figures.shape == (len(each.visible), len(FIGURES)) for each in found)
    assert found[-1].within[found[-1].visible].mean() > 0.6


def test_the_constants_are_code_that_says_the_same():
    found = [part for each in sequences(birds(8), 1) for part in found_in(each)]
    models = expectation(found)
    names = {"np": np, "Logistic": type(models["VISIBLE"])}
    exec(as_code(models), names)
    rows = np.concatenate([each.figures for each in found])
    for name, model in models.items():
        np.testing.assert_allclose(names[name](rows), model(rows), atol=0.02)
    visible = np.concatenate([each.visible for each in found])
    assert models["VISIBLE"](rows)[visible].mean() > models["VISIBLE"](rows)[~visible].mean() + 0.5


def test_the_command_prints_the_constants(tmp_path, capsys):
    drawn_data_set(tmp_path / "drawn")
    weights = save_small_network(tmp_path / "net.safetensors")
    options = ["--weights", str(weights), "--cache", str(tmp_path / "cache"), "--repeats", "1"]
    assert main(["score-expectation", "--data", str(tmp_path / "drawn"), *options]) == 0
    printed = capsys.readouterr().out
    assert "VISIBLE = Logistic(" in printed
    assert "WITHIN = Logistic(" in printed
