"""What is read from the database, on SQLite and on PostgreSQL."""

from contextlib import contextmanager

import pytest
import sqlalchemy
from verdict_data import UID, added, annotation, detection, event, moved, predict, relabelled

from backend.agreement.loading.queries import load_table
from backend.agreement.parameters import AgreementParameters
from backend.agreement.queries import AgreementQueries
from backend.agreement.records import UnusedCount
from backend.database.connection import Database, now
from backend.settings import Settings
from backend.suggestions.holdout import HoldoutStorage
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


@pytest.fixture
def recorded(database: Database) -> Database:
    """Tasks 1 to 4 of two annotators and two model versions, the last of which was skipped."""
    for task in range(1, 5):
        regions = predict(database, task, detection((10, 10), (30, 30)), label_studio_id=task)
        predict(database, task, detection((50, 50)), version="b", deliver=False)
        first = [moved(regions[0], 4), relabelled(regions[1], "nose"), regions[2]]
        skipped = {"was_cancelled": task == 4}
        for person, result in ((1, first), (2, [*regions, added(90, 90, "tail")])):
            number = 10 * task + person
            event(
                database,
                annotation(task, result, number=number, annotator=person, parent=task, **skipped),
            )
    event(database, None)
    Recorder(Settings(), database).drain()
    return database


@contextmanager
def counted_statements(database: Database):
    statements: list[str] = []

    def note(connection, cursor, statement, parameters, context, executemany) -> None:
        statements.append(statement)

    sqlalchemy.event.listen(database.engine, "before_cursor_execute", note)
    yield statements
    sqlalchemy.event.remove(database.engine, "before_cursor_execute", note)


def test_the_table_holds_what_counts_with_typed_records(recorded):
    table = load_table(recorded, Filters())
    annotations = table.columns.annotations
    assert [(each.task_id, each.annotator) for each in annotations] == [
        (task, person) for task in (1, 2, 3) for person in (1, 2)
    ]
    assert annotations[0].task == (UID, 1)
    assert (annotations[0].group, annotations[0].longer_side) == ("shown", 100)
    assert annotations[0].image_url == "/data/upload/1.png"
    assert len(table.columns.verdict) == 3 * (2 + 3)
    assert table.skipped == 2
    assert table.unused == [UnusedCount("an event without an annotation", 1)]
    assert {(each.verdict, each.count) for each in table.choices} == {("accepted", 1)}


def test_points_are_loaded_for_tasks_whose_points_are_paired_again(recorded):
    table = load_table(recorded, Filters())
    assert (table.tasks_shown_to_several, table.tasks_of_several_annotators) == (3, 0)
    # Task 4 has two versions as well, but no annotation that counts.
    assert [(each.task_id, each.model_version) for each in table.detections] == [
        (task, version) for task in (1, 2, 3) for version in ("small-abc", "b")
    ]
    assert table.detections[1].points.tolist() == [[50, 50]]
    kept = [each.id for each in table.columns.annotations if len(table.points.final(each.id).label)]
    assert len(kept) == 6
    first = table.columns.annotations[0].id
    assert len(table.points.suggested(first).label) == len(table.points.final(first).label) == 2


def test_the_parameters_limit_how_many_tasks_are_compared_again(recorded):
    for task in (5, 6):
        predict(recorded, task, detection((10, 10)), deliver=False)
        predict(recorded, task, detection((50, 50)), version="b", deliver=False)
        for person in (1, 2):
            made = annotation(task, [added(9, 9)], number=10 * task + person, annotator=person)
            event(recorded, made | {"parent_prediction": None})
    HoldoutStorage(recorded).withhold(UID, [5, 6], now())
    Recorder(Settings(), recorded).drain()
    table = load_table(recorded, Filters())
    assert (table.tasks_shown_to_several, table.tasks_of_several_annotators) == (3, 2)
    assert [[each.annotator for each in task] for task in table.compared_tasks] == [[1, 2]] * 2
    table = load_table(recorded, Filters(), AgreementParameters(most_tasks=1))
    assert (table.tasks_of_several_annotators, len(table.compared_tasks)) == (2, 1)
    # One whose suggestions were withheld and one where they were shown.
    tasks = {each.task_id for each in table.detections}
    assert (len(tasks), len(tasks & {5, 6})) == (2, 1)


def test_a_few_statements_load_it_however_much_there_is(recorded):
    with counted_statements(recorded) as few:
        load_table(recorded, Filters(annotator=1))
    with counted_statements(recorded) as all_:
        load_table(recorded, Filters())
    assert len(few) == len(all_) <= 9


def test_annotations_and_verdicts_are_found_by_the_ids_of_states(recorded):
    queries = AgreementQueries(recorded)
    annotations = load_table(recorded, Filters()).columns.annotations
    ids = [annotations[0].id, annotations[3].id]
    assert queries.annotations_of(ids) == {each: annotations[ids.index(each) * 3] for each in ids}
    found = queries.verdicts_of(ids)
    assert [each.verdict for each in found[ids[1]]] == ["accepted", "accepted", "added"]
    assert queries.verdicts_of([]) == {}


def test_final_points_of_a_prediction_are_those_of_its_first_annotator(recorded):
    first = load_table(recorded, Filters()).columns.annotations[0]
    found = AgreementQueries(recorded).final_of_predictions([first.prediction_id])
    assert list(found) == [first.prediction_id]
    assert [tuple(map(round, point)) for point in found[first.prediction_id]] == [
        (14, 10),
        (30, 30),
    ]


def test_rows_of_the_export_have_names(recorded):
    portions = AgreementQueries(recorded).verdict_rows(Filters(annotator=2, label="tail"))
    rows = [row for portion in portions for row in portion]
    assert [(row.task_id, row.verdict, row.final_label) for row in rows] == [
        (task, "added", "tail") for task in (1, 2, 3)
    ]
    assert {(row.shown, row.group) for row in rows} == {(True, "shown")}
    assert (rows[0].prediction_score, rows[0].score) == (pytest.approx(0.8), None)
