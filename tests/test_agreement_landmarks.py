"""Salient landmarks, from columns made by hand."""

import math

import pytest
from agreement_table import Made, added, columns_of, kept

from backend.agreement.columns import VerdictColumns
from backend.agreement.landmarks import LandmarkFigures, landmarks
from backend.agreement.parameters import AgreementParameters

PARAMETERS = AgreementParameters()


def found_in(
    columns: VerdictColumns, parameters: AgreementParameters = PARAMETERS
) -> list[LandmarkFigures]:
    return landmarks(columns, parameters)


def test_lift_is_the_share_found_over_that_of_as_many_random_points():
    points = [kept((10, 10)), kept((50, 50), "wing"), added((90, 90), "tail")]
    beak, wing, tail = found_in(columns_of(*[Made(task, points) for task in range(6)]))
    assert [each.label for each in (beak, wing, tail)] == ["beak", "wing", "tail"]
    assert (beak.class_name, beak.annotated, beak.found.value) == ("wren", 6, 1.0)
    assert (tail.annotated, tail.found.value, tail.lift.value) == (6, 0.0, 0.0)
    one = math.pi * 5**2 / 100**2  # the disc of 5 px in an image of 100 × 100 px
    assert beak.lift.value == pytest.approx(1 / (1 - (1 - one) ** 2))  # two were suggested


def test_chance_is_that_within_the_object_where_it_is_known():
    point = kept((10, 10), length=40.0, area=800.0, object=0)
    [beak] = found_in(columns_of(Made(1, [point])))
    assert beak.lift.value == pytest.approx(1 / (math.pi * 2**2 / 800))
    assert beak.lift.low is None


def test_several_points_of_a_label_in_an_annotation_are_one_unit():
    columns = columns_of(Made(1, [kept((10, 10)), added((70, 70))]), Made(2, [added((70, 70))]))
    [beak] = found_in(columns)
    assert (beak.annotated, beak.found.value) == (2, 0.5)


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
