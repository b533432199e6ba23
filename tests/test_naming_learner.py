"""From examples to named points."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naming_scene import BIRD, BOX, LABELS, example, examples, planted, unlike_any_other

from model.naming import leave_one_out
from model.naming.evidence import FIGURES, find
from model.naming.examples import Example, views
from model.naming.features import ExampleFeatures
from model.naming.knowledge import MOST_DESCRIPTORS, knowledge, taught
from model.naming.learner import fit
from model.naming.moments import moments, total


def places(points):
    return {point.label: (point.x, point.y) for point in points}


def test_points_are_found_by_name():
    model = fit(examples(6))
    asked = example(50)
    found = places(model.predict(asked.features))
    for label, point in asked.points.items():
        assert np.hypot(*np.subtract(found[label], point)) < 4  # of a box of 80 px


def test_a_mirrored_bird_shows_its_other_eye_though_no_example_was_mirrored():
    model = fit([example(seed) for seed in range(6)])
    asked = example(50, mirrored=True)
    points = {point.label: point for point in model.predict(asked.features)}
    assert np.hypot(*np.subtract((points["beak"].x, points["beak"].y), asked.points["beak"])) < 4


def test_the_visible_eye_is_more_probable_than_the_hidden_one():
    model = fit(examples(12))
    for mirrored in (False, True):
        asked = example(50, mirrored=mirrored)
        points = {point.label: point for point in model.predict(asked.features)}
        seen, hidden = ("right eye", "left eye") if mirrored else ("left eye", "right eye")
        assert points[seen].visible_probability > 0.8
        assert points[hidden].visible_probability < 0.3
        assert points[hidden].score <= points[hidden].visible_probability


def test_the_mirror_image_of_an_image_gets_mirrored_points():
    model = fit(examples(4))
    asked = example(50).features
    opposite = dataclasses.replace(asked, seen=asked.mirrored, mirrored=asked.seen)
    direct, mirrored = places(model.predict(asked)), places(model.predict(opposite))
    for label, other in zip(LABELS, ("beak", "right eye", "left eye", "tail"), strict=True):
        x, y = direct[label]
        np.testing.assert_allclose(mirrored[other], (99 - x, y), atol=0.5)


@settings(max_examples=10)
@given(st.integers(0, 4))
def test_leaving_an_example_out_equals_never_having_learnt_it(number):
    taught_examples = examples(5)
    sums = total([moments(each) for each in taught_examples])
    parts = [[taught(view, LABELS) for view in views(each)] for each in taught_examples]
    left = leave_one_out.without(LABELS, sums, parts, taught_examples, number)
    others = [each for index, each in enumerate(taught_examples) if index != number]
    never = knowledge(
        LABELS,
        total([moments(each) for each in others]),
        [taught(view, LABELS) for each in others for view in views(each)],
    )
    np.testing.assert_allclose(left.weights, never.weights, atol=1e-5)
    np.testing.assert_array_equal(left.layouts, never.layouts)
    for first, second in zip(left.descriptors, never.descriptors, strict=True):
        np.testing.assert_allclose(first @ first.T, second @ second.T, atol=1e-4)


def test_a_label_without_an_example_is_not_suggested():
    model = fit([example(0)], labels=(*LABELS, "crest"))
    assert "crest" not in places(model.predict(example(1).features))


def test_the_order_of_examples_does_not_matter():
    taught_examples = examples(4)
    asked = planted(BIRD, seed=77)
    forward, backward = fit(taught_examples), fit(list(reversed(taught_examples)))
    for first, second in zip(forward.predict(asked), backward.predict(asked), strict=True):
        np.testing.assert_allclose(first.score, second.score, atol=1e-4)


def test_given_points_do_not_change_how_well_layouts_are_said_to_fit():
    """Scores were learnt without any; a point that is given always fits its layout."""
    model = fit(examples(6))
    features = planted(BIRD, seed=99)
    plain, helped = (find(model.known, features, points) for points in ({}, {"beak": BIRD["beak"]}))
    column = FIGURES.index("fit")
    np.testing.assert_array_equal(helped.figures[:, column], plain.figures[:, column])


def test_given_points_stay_and_draw_the_others_along():
    model = fit(examples(6))
    # Features of nothing: only the layout speaks.
    blank = planted({}, seed=5)
    moved = {label: (x + 6, y - 5) for label, (x, y) in BIRD.items()}
    given_points = {"beak": moved["beak"], "left eye": moved["left eye"]}
    found = places(model.predict(blank, given=given_points))
    assert not found.keys() & given_points.keys()
    assert np.hypot(*np.subtract(found["tail"], moved["tail"])) < 12


def test_one_example_is_enough_to_suggest_but_promises_little_where_nothing_resembles_it():
    model = fit([example(0)])
    assert {point.label for point in model.predict(example(2).features)} >= set(BIRD)
    assert all(point.score < 0.2 for point in model.predict(planted({}, seed=3)))


@pytest.mark.parametrize("learnt", [1, 2, 3])
def test_few_examples_already_tell_the_visible_eye_from_the_hidden_one(learnt):
    model = fit(examples(learnt))
    for mirrored in (False, True):
        points = model.predict(example(50, mirrored=mirrored).features)
        visible = {point.label: point.visible_probability for point in points}
        seen, hidden = ("right eye", "left eye") if mirrored else ("left eye", "right eye")
        assert visible.get(seen, 1.0) > 0.8  # after one example, it knows the left one alone
        assert visible.get(hidden, 0.0) < 0.3


@pytest.mark.parametrize("learnt", [2, 3, 5])
def test_after_few_examples_that_share_nothing_scores_promise_no_more_than_is_kept(learnt):
    points = [
        (point, np.hypot(point.x - place[0], point.y - place[1]) <= 0.05 * BOX.width)
        for seed in range(0, 240, 12)
        for asked in [unlike_any_other(seed)]
        for point in fit([unlike_any_other(seed + n) for n in range(1, learnt + 1)]).predict(
            asked.features
        )
        for place in [asked.points[point.label]]
    ]
    scores, right = np.array([(point.score, kept) for point, kept in points]).T
    assert scores.mean() < right.mean() + 0.1
    assert (scores > 0.5).mean() < 0.05


def test_features_of_another_network_are_refused():
    model = fit([example(0)])
    other = dataclasses.replace(example(1).features, key="other")
    with pytest.raises(ValueError, match="expected features of planted, got other"):
        model.predict(other)
    with pytest.raises(ValueError, match="expected features of planted, got other"):
        fit([example(0), dataclasses.replace(example(1), features=other)])


def test_without_examples_or_points_nothing_can_be_learnt():
    with pytest.raises(ValueError, match="one or more examples"):
        fit([])
    with pytest.raises(ValueError, match="an example with a point"):
        fit([dataclasses.replace(example(0), points={}, absent=frozenset())])


def test_a_label_cannot_be_placed_and_absent():
    with pytest.raises(ValueError, match=r"got both: .*beak"):
        Example(example(0).features, {"beak": (1.0, 2.0)}, frozenset({"beak"}))


def test_a_point_without_finite_coordinates_is_refused():
    with pytest.raises(ValueError, match="finite coordinates"):
        Example(example(0).features, {"beak": (float("nan"), 2.0)})


def test_a_point_far_outside_the_frame_does_no_harm():
    odd = dataclasses.replace(example(9), points={**example(9).points, "tail": (900.0, 900.0)})
    points = fit([*examples(4), odd]).predict(example(50).features)
    assert all(np.isfinite((point.x, point.y, point.score)).all() for point in points)


def test_features_that_were_stored_teach_the_same():
    stored = [
        dataclasses.replace(each, features=ExampleFeatures.from_bytes(each.features.to_bytes()))
        for each in examples(4)
    ]
    asked = planted(BIRD, seed=77)
    for first, second in zip(
        fit(stored).predict(asked), fit(examples(4)).predict(asked), strict=True
    ):
        np.testing.assert_allclose((first.x, first.y), (second.x, second.y), atol=0.5)


def test_labels_without_sides_are_learnt_as_they_are_alone():
    """Nobody knows what p1 is called in the mirror."""
    plain = example(0)
    renamed = {f"p{number}": point for number, point in enumerate(plain.points.values())}
    unsided = dataclasses.replace(plain, points=renamed, absent=frozenset())
    assert len(list(views(plain))) == 2
    assert len(list(views(unsided))) == 1
    assert not fit([unsided]).known.names_sides


def test_without_a_box_the_tolerance_is_a_share_of_the_box_around_the_points():
    """The bird measures 60 px, and a box around it 77; its image 100: 5 % are 3.8 px and not 5."""
    boxed = example(0)
    frame = dataclasses.replace(boxed.features.frame, boxed=False, length=100.0)
    whole = dataclasses.replace(
        boxed,
        features=dataclasses.replace(boxed.features, frame=frame),
        points=dict(BIRD),
        box=None,
    )
    assert leave_one_out._length(boxed) == 80
    assert leave_one_out._length(whole) == pytest.approx(60 * 1.28)
    lone = dataclasses.replace(whole, points={"beak": (3.0, 4.0)})
    assert leave_one_out._length(lone) == 100


def test_two_annotators_who_contradict_each_other_lower_the_score_and_stop_nothing():
    """Half of them call the beak tail and the tail beak, on the same images."""
    agreed = examples(8)
    swapped = [
        dataclasses.replace(
            each, points={**each.points, "beak": each.points["tail"], "tail": each.points["beak"]}
        )
        for each in agreed
    ]
    asked = example(50).features
    disputed = [each for pair in zip(agreed, swapped, strict=True) for each in pair]
    sure, unsure = (
        {point.label: point.score for point in fit(some).predict(asked)}
        for some in (agreed, disputed)
    )
    assert unsure["beak"] < sure["beak"] - 0.2
    assert unsure["tail"] < sure["tail"] - 0.2
    assert unsure["left eye"] > 0.5


def test_a_label_with_one_example_among_many_is_found_and_the_others_as_well_as_before():
    crest = (50.0, 20.0)
    plain = examples(6)
    shown = {**plain[0].points, "crest": crest}
    model = fit([dataclasses.replace(plain[0], points=shown), *plain[1:]])
    found = {point.label: point for point in model.predict(example(50).features)}
    assert np.isfinite((found["crest"].x, found["crest"].y)).all()
    assert 0 <= found["crest"].score <= 1
    for label, place in example(50).points.items():
        assert np.hypot(found[label].x - place[0], found[label].y - place[1]) < 4


def test_many_labels_are_learnt_from_their_newest_points_within_bounds():
    random = np.random.RandomState(0)
    names = [f"p{number}" for number in range(200)]
    many = []
    for seed in range(45):
        places = random.uniform(15, 85, (200, 2)).tolist()
        points = dict(zip(names, map(tuple, places), strict=True))
        many.append(dataclasses.replace(example(seed), points=points, absent=frozenset()))
    model = fit(many, rehearsed=1)
    assert {len(each) for each in model.known.descriptors} == {MOST_DESCRIPTORS // 200}
    assert {point.label for point in model.predict(many[0].features)} == set(names)
