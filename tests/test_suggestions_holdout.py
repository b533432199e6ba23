import pytest
from hypothesis import given
from hypothesis import strategies as st
from verdict_data import CONFIG, UID, VERSION, detection

from backend.labelstudio.label_config import keypoint_control
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.answers import PredictService
from backend.suggestions.delivery_storage import DeliverySchedule
from backend.suggestions.holdout import HoldoutStorage, is_in_holdout
from backend.suggestions.storage import PredictionStorage

CONTROL = keypoint_control(CONFIG)
TASKS = range(1, 31)  # as many as the queue has room for


@given(st.integers(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_includes_every_smaller_one(task, one, other):
    small, large = sorted((one, other))
    assert not is_in_holdout(small, UID, task) or is_in_holdout(large, UID, task)
    assert not is_in_holdout(0.0, UID, task)
    assert is_in_holdout(1.0, UID, task)


def test_the_share_is_what_it_says_and_differs_from_project_to_project():
    first = {task for task in range(20_000) if is_in_holdout(0.1, UID, task)}
    second = {task for task in range(20_000) if is_in_holdout(0.1, "4.1", task)}
    assert len(first) / 20_000 == pytest.approx(0.1, abs=0.01)
    assert len(first & second) / 20_000 == pytest.approx(0.01, abs=0.004)


def test_predictions_of_withheld_tasks_are_made_and_neither_answered_nor_pushed(database, queue):
    settings = Settings(holdout_share=0.5, predict_wait_batch=0)
    ProjectStorage(database).save_label_config(UID, CONFIG)
    predictions = PredictService(settings, database, queue, lambda uid: VERSION)
    project = ProjectStorage(database).project(UID)
    tasks = [{"id": task, "data": {"image": f"/data/upload/{task}.png"}} for task in TASKS]
    withheld = [is_in_holdout(0.5, UID, task) for task in TASKS]
    assert 5 < sum(withheld) < 35

    predictions.answer(project, CONTROL, tasks)
    assert len(queue) == len(TASKS)
    rows = [PredictionStorage(database).of_task(task)[0] for task in TASKS]
    for row in rows:
        PredictionStorage(database).finish(row.id, detection((10, 10)))
    answers = predictions.answer(project, CONTROL, tasks)

    assert [answer == [] for answer in answers] == withheld
    assert DeliverySchedule(database).due(100) == []
    assert [HoldoutStorage(database).is_withheld(UID, task) for task in TASKS] == withheld
