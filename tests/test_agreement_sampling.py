"""The choice of the tasks to compare."""

from agreement_table import Made, annotations_of

from backend.agreement.sampling import draw, tasks_of_several_annotators


def test_tasks_of_several_known_annotators_have_the_last_annotation_of_each():
    annotations = annotations_of(
        [
            Made(1, annotator=1),
            Made(2, annotator=1),
            Made(1, annotator=2),
            Made(1, annotator=1),
            Made(2, annotator=None),
            Made(1, annotator=3, project="4.1"),
        ]
    )
    found = tasks_of_several_annotators(annotations)
    assert [[each.id for each in task] for task in found] == [[4, 3]]


def test_a_draw_is_the_same_each_time_and_keeps_the_order():
    drawn = draw(range(100), 10, seed=1)
    assert drawn == draw(range(100), 10, seed=1) == sorted(set(drawn))
    assert len(drawn) == 10
    assert drawn != draw(range(100), 10, seed=2)


def test_everything_is_taken_where_there_is_little():
    assert draw([3, 1, 2], 3, seed=1) == [3, 1, 2]
