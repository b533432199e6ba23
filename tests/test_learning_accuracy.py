"""Accuracy over images and over classes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from model.learning.accuracy import Accuracy, accuracy


def test_naming_always_the_large_class_is_right_for_images_but_not_for_classes():
    labels = np.array([0] * 8 + [1] * 2)
    assert accuracy(labels == 0, labels) == Accuracy(0.8, 0.5)
    assert (
        str(Accuracy(0.8, 0.5))
        == "80.0% of the validation images right, 50.0% in the mean over classes"
    )
    assert str(Accuracy(0.5, 0.5)) == "50.0% of the validation images right"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_both_are_those_of_scikit_learn(pairs):
    truth, named = np.array(pairs).T
    found = accuracy(truth == named, truth)
    assert np.isclose(found.images, accuracy_score(truth, named))
    recalls = [np.mean(named[truth == each] == each) for each in np.unique(truth)]
    assert np.isclose(found.classes, np.mean(recalls))
    if set(named) <= set(truth) and len(set(truth)) > 1:
        assert np.isclose(found.classes, balanced_accuracy_score(truth, named))
