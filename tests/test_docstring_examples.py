"""The examples in docstrings of the model give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import model

# `model.__main__` and the commands are run by their own tests.
MODULES = sorted(
    found.name
    for found in pkgutil.walk_packages(model.__path__, "model.")
    if not found.name.startswith(("model.__main__", "model.commands"))
)
FEWEST = 6


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in found) >= FEWEST
