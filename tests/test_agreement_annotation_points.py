"""Points of chosen annotations are those of their verdicts."""

import numpy as np
from agreement_table import Made, added, annotations_of, columns_of, deleted, kept

from backend.agreement.annotation_points import AnnotationPoints
from backend.agreement.columns import unpack_columns
from backend.agreement.points import Points
from backend.verdicts.packing import pack

FIRST = [
    kept((10, 10), "beak", by=5, length=40.0),
    deleted((20, 20), "tail"),
    added((30, 30), "eye"),
]
SECOND = [kept((1, 2), "tail", final_label="beak", hit=False, score=None)]


def as_rows(points: Points) -> list[tuple[float, float, float, str]]:
    return [
        (*position, length, label)
        for position, length, label in zip(
            points.position.tolist(), points.length.tolist(), points.label, strict=True
        )
    ]


SUGGESTED = [(10, 10, 40, "beak"), (20, 20, 100, "tail")]
FINAL = [(15, 10, 40, "beak"), (30, 30, 100, "eye")]


def test_points_are_those_that_were_suggested_and_those_that_were_left():
    columns = columns_of(Made(1, FIRST), Made(2, []), Made(3, SECOND))
    found = AnnotationPoints(columns, [1, 2, 3])
    assert (as_rows(found.suggested(1)), as_rows(found.final(1))) == (SUGGESTED, FINAL)
    assert as_rows(found.suggested(2)) == as_rows(found.final(2)) == []
    assert (as_rows(found.suggested(3)), as_rows(found.final(3))) == (
        [(1, 2, 100, "tail")],
        [(1, 2, 100, "beak")],
    )


def test_other_annotations_have_no_points():
    found = AnnotationPoints(columns_of(Made(1, FIRST), Made(2, SECOND)), [2])
    assert found.final(1).position.shape == found.suggested(9).position.shape == (0, 2)
    assert as_rows(found.final(2)) == [(1, 2, 100, "beak")]


def test_a_point_without_a_label_has_an_empty_one():
    found = AnnotationPoints(columns_of(Made(1, [added((3, 4), None), *FIRST])), [1])
    assert as_rows(found.final(1))[0] == (3, 4, 100, "")


def test_they_are_found_where_annotations_were_put_in_another_order():
    made = [Made(1, FIRST, shown=False), Made(2, SECOND)]
    columns = unpack_columns(
        annotations_of(made), [pack(each.verdicts) for each in made], order=[1, 0]
    )
    assert [each.id for each in columns.annotations] == [2, 1]
    found = AnnotationPoints(columns, [1, 2])
    assert as_rows(found.final(1)) == FINAL
    assert as_rows(found.final(2)) == [(1, 2, 100, "beak")]


def test_a_selection_of_neighbours_shares_the_memory_of_the_whole():
    columns = columns_of(Made(1, FIRST), Made(2, SECOND), Made(3, FIRST))
    together = columns.of_annotations(np.array([True, True, False]))
    apart = columns.of_annotations(np.array([True, False, True]))
    assert np.shares_memory(together.score, columns.score)
    assert not np.shares_memory(apart.score, columns.score)
    assert [len(each.verdict) for each in (together, apart)] == [4, 6]
