"""What examples teach, before any calibration."""

import numpy as np
from naming_scene import LABELS, example

from model.naming.examples import views
from model.naming.grid import sample
from model.naming.knowledge import heat_maps, knowledge, taught, whitening
from model.naming.moments import moments, total


def known(examples):
    parts = [taught(view, LABELS) for each in examples for view in views(each)]
    return knowledge(LABELS, total([moments(each) for each in examples]), parts)


def similarity_at(label, asked, examples):
    evidence = heat_maps(known(examples), asked.features).similarity[LABELS.index(label)]
    place = asked.features.frame.to_unit(np.array([asked.points[label]]))
    return float(sample(evidence[..., None].astype(np.float32), place)[0, 0])


def test_a_lone_example_resembles_itself_whichever_way_it_looks():
    """Its mirror image is the other view of the beak, and resembles it less."""
    lone = example(0)
    assert similarity_at("beak", lone, [lone]) > 0.9


def test_of_three_and_more_views_the_three_most_similar_count():
    lone = example(0)
    alone, among_others = (
        similarity_at("beak", lone, some) for some in ([lone], [lone, example(1), example(2)])
    )
    assert among_others < alone


def test_few_views_are_whitened_less_than_as_many_as_tell_the_variances():
    sums = total([moments(example(seed)) for seed in range(4)])

    def spread(views):
        lengths = np.linalg.norm(whitening(sums, views).transform, axis=0)
        return lengths.max() / lengths.min()

    assert 1 < spread(1) < spread(2) < spread(200)
