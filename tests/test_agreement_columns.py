"""Verdicts as columns."""

import numpy as np
from agreement_table import Made, added, columns_of, deleted, kept

COLUMNS = columns_of(
    Made(1, [kept((10, 10), final_label="tail"), deleted((20, 20))]),
    Made(2, [added((30, 30), "wing")], shown=False),
    Made(1, [kept((10, 10), "tail")], annotator=2),
)


def test_verdicts_are_rows_in_the_order_of_their_annotations():
    assert COLUMNS.annotation.tolist() == [0, 0, 1, 2]
    names = [None, *COLUMNS.labels]
    assert [names[code + 1] for code in COLUMNS.suggested_label] == ["beak", "beak", None, "tail"]
    assert [names[code + 1] for code in COLUMNS.final_label] == ["tail", None, "wing", "tail"]
    assert COLUMNS.suggested.tolist() == [True, True, False, True]
    assert COLUMNS.final.tolist() == [True, False, True, True]
    assert np.isnan(COLUMNS.displacement[[1, 2]]).all()
    assert COLUMNS.image_length.tolist() == [100] * 4


def test_annotations_of_one_image_share_its_number():
    assert COLUMNS.image.tolist() == [0, 1, 0]
    assert COLUMNS.images == 2


def test_some_annotations_keep_their_verdicts_and_number_their_images_again():
    found = COLUMNS.of_annotations(np.array([False, True, True]))
    assert [each.id for each in found.annotations] == [2, 3]
    assert found.annotation.tolist() == [0, 1]
    assert found.image.tolist() == [1, 0]
    assert found.final_label.tolist() == COLUMNS.final_label[2:].tolist()
    assert COLUMNS.of_annotations(np.array([False] * 3)).images == 0


def test_a_label_counts_as_suggestion_where_suggested_and_as_final_point_where_final():
    found = COLUMNS.counting("tail")
    assert found.annotation.tolist() == [0, 2]
    assert found.suggested.tolist() == [False, True]
    assert found.final.tolist() == [True, True]
    assert found.suggested_hit.tolist() == [False, True]


def test_a_label_that_nobody_used_counts_nowhere():
    assert len(COLUMNS.counting("claw").annotation) == 0
