"""The choice of the tasks to compare."""

from agreement_table import Made, annotations_of

from backend.agreement.sampling import draw, draw_tasks, tasks_of_several_annotators


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


def test_withheld_tasks_are_drawn_apart_from_others_and_unannotated_ones_never():
    made = annotations_of([Made(task, shown=task >= 3) for task in range(20)])
    tasks = [("3.1", task) for task in range(25)]
    found = draw_tasks(tasks, made, 5, seed=1)
    assert found[:3] == tasks[:3]
    assert len(found) == 8
    assert set(found[3:]) < set(tasks[3:20])
