"""Rough descriptions of tasks' images in the database."""

import numpy as np
from learning_data import KEY, OTHER_UID, UID

from backend.database.connection import Database
from backend.ordering.storage import DescriptorStorage, rounded

VALUES = np.array([0.5, -0.25, 0.125], np.float32)


def test_a_description_belongs_to_an_input_and_a_backbone(any_database: Database) -> None:
    storage = DescriptorStorage(any_database)
    storage.save(UID, 1, "a", KEY, VALUES)
    storage.save(OTHER_UID, 1, "a", KEY, -VALUES)
    found = storage.of_tasks(UID, KEY, {1: "a", 2: "a"})
    assert found.keys() == {1}
    np.testing.assert_array_equal(found[1], VALUES)
    assert storage.of_tasks(UID, KEY, {1: "another image"}) == {}
    assert storage.of_tasks(UID, "another backbone", {1: "a"}) == {}


def test_a_newer_description_takes_the_place_of_the_older(any_database: Database) -> None:
    storage = DescriptorStorage(any_database)
    storage.save(UID, 1, "a", KEY, VALUES)
    storage.save(UID, 1, "b", KEY, 2 * VALUES)
    assert storage.of_tasks(UID, KEY, {1: "a"}) == {}
    np.testing.assert_array_equal(storage.of_tasks(UID, KEY, {1: "b"})[1], 2 * VALUES)


def test_descriptions_of_deleted_tasks_are_deleted_in_that_project_alone(
    any_database: Database,
) -> None:
    storage = DescriptorStorage(any_database)
    for task in (1, 2, 3):
        storage.save(UID, task, "a", KEY, VALUES)
    storage.save(OTHER_UID, 1, "a", KEY, VALUES)
    assert storage.keep_only(UID, [2]) == 2
    inputs = dict.fromkeys((1, 2, 3), "a")
    assert storage.of_tasks(UID, KEY, inputs).keys() == {2}
    assert storage.of_tasks(OTHER_UID, KEY, inputs).keys() == {1}


def test_a_rounded_description_is_read_back_unchanged(database: Database) -> None:
    values = np.random.default_rng(0).normal(0, 0.02, 100).astype(np.float32)
    storage = DescriptorStorage(database)
    storage.save(UID, 1, "a", KEY, values)
    found = storage.of_tasks(UID, KEY, {1: "a"})[1]
    np.testing.assert_array_equal(found, rounded(values))
    np.testing.assert_allclose(found, values, rtol=1e-3, atol=1e-6)
