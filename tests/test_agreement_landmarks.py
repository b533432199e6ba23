"""Salient landmarks, from columns made by hand."""

import math

import numpy as np
import pytest
from agreement_table import Made, added, annotations_of, columns_of, deleted, kept

from backend.agreement.columns import VerdictColumns, unpack_columns
from backend.agreement.landmarks import LandmarkFigures, landmarks
from backend.agreement.parameters import AgreementParameters
from backend.verdicts.packing import pack
from model.matching import match_points

PARAMETERS = AgreementParameters()


def found_in(
    columns: VerdictColumns,
    parameters: AgreementParameters = PARAMETERS,
    *,
    withheld: VerdictColumns | None = None,
) -> list[LandmarkFigures]:
    return landmarks(columns, withheld or columns_of(), parameters)


def disc(near: float = 5.0, side: float = 100.0) -> float:
    """The share of an image that a disc inside it covers."""
    return math.pi * near**2 / side**2


def test_lift_is_the_share_found_over_that_of_as_many_random_points():
    points = [kept((10, 10)), kept((50, 50), "wing"), added((90, 90), "tail")]
    beak, wing, tail = found_in(columns_of(*[Made(task, points) for task in range(6)]))
    assert [each.label for each in (beak, wing, tail)] == ["beak", "wing", "tail"]
    assert (beak.class_name, beak.shown.annotated, beak.shown.found.value) == ("wren", 6, 1.0)
    assert (tail.shown.annotated, tail.shown.found.value, tail.shown.lift.value) == (6, 0.0, 0.0)
    assert beak.shown.lift.value == pytest.approx(1 / (1 - (1 - disc()) ** 2))  # two suggested


@pytest.mark.parametrize("points", [1, 4, 12])
def test_random_suggestions_have_a_lift_of_1_however_many_points_bear_the_label(points):
    """120 images of 12 random suggestions and some random points of one label."""
    random = np.random.default_rng(points)

    def image(task: int) -> Made:
        suggested, final = (random.uniform(-0.5, 99.5, (n, 2)) for n in (12, points))
        pairs = dict(match_points(suggested, final, 5.0).tolist())
        verdicts = [deleted(tuple(each)) for each in suggested]
        hits = set(pairs.values())
        verdicts += [added(tuple(each), hit=n in hits) for n, each in enumerate(final)]
        return Made(task, verdicts)

    [found] = found_in(columns_of(*[image(task) for task in range(120)]))
    assert found.shown.lift.low < 1 < found.shown.lift.high
    assert found.shown.lift.value == pytest.approx(1, abs=0.25)


def test_the_chance_of_a_point_at_the_border_is_that_of_the_disc_inside_the_image():
    corner, edge = found_in(
        columns_of(Made(1, [kept((-0.5, -0.5), "a")]), Made(2, [kept((50, -0.5), "b")]))
    )
    assert corner.shown.lift.value == pytest.approx(4 / disc())
    assert edge.shown.lift.value == pytest.approx(2 / disc())


def test_shown_and_withheld_annotations_stand_beside_each_other():
    shown = columns_of(*[Made(task, [kept((10, 10))]) for task in range(6)])
    alone = [kept((10, 10)), added((70, 70), "tail")]
    withheld = columns_of(*[Made(task, alone, shown=False) for task in range(10, 13)])
    beak, tail = found_in(shown, withheld=withheld)
    assert (beak.shown.annotated, beak.withheld.annotated) == (6, 3)
    assert beak.withheld.lift.value == pytest.approx(1 / disc())
    assert (tail.shown.annotated, tail.shown.found.value, tail.withheld.annotated) == (0, None, 3)
    assert beak.as_json()["withheld"].keys() == {"annotated", "found", "lift"}


def test_chance_is_that_within_the_object_where_it_is_known():
    point = kept((10, 10), length=40.0, area=800.0, object=0)
    [beak] = found_in(columns_of(Made(1, [point])))
    assert beak.shown.lift.value == pytest.approx(1 / (math.pi * 2**2 / 800))
    assert beak.shown.lift.low is None


def test_the_disc_is_cut_at_the_border_of_the_object():
    point = kept((9.5, 10), length=40.0, area=800.0, object=0)
    made = Made(1, [point])
    box = (10.0, 0.0, 30.0, 40.0)  # the point lies on its left edge
    columns = unpack_columns(annotations_of([made]), [pack(made.verdicts)], [[(0, 0, 1, 1), box]])
    [beak] = found_in(columns)
    assert beak.shown.lift.value == pytest.approx(2 / (math.pi * 2**2 / 800))


def test_several_points_of_a_label_in_an_annotation_are_one_unit():
    columns = columns_of(Made(1, [kept((10, 10)), added((70, 70))]), Made(2, [added((70, 70))]))
    [beak] = found_in(columns)
    assert (beak.shown.annotated, beak.shown.found.value) == (2, 0.5)


def test_landmarks_are_sorted_by_class_and_by_how_often_they_are_found():
    made = [
        Made(1, [added((10, 10), "beak"), kept((50, 50), "tail")]),
        Made(2, [kept((50, 50), "tail")], class_name="crow"),
    ]
    found = found_in(columns_of(*made))
    assert [(each.class_name, each.label) for each in found] == [
        ("crow", "tail"),
        ("wren", "tail"),
        ("wren", "beak"),
    ]


def test_only_the_most_annotated_landmarks_are_listed():
    columns = columns_of(
        Made(1, [kept((10, 10)), added((90, 90), "tail")]), Made(2, [kept((9, 9))])
    )
    [beak] = found_in(columns, AgreementParameters(most_landmarks=1))
    assert beak.label == "beak"


def test_without_final_points_there_is_no_landmark():
    assert found_in(columns_of(Made(1))) == []
