import pytest
from learning_data import BASE, KEY, LIMIT, OTHER_UID, UID, extract, learn, lesson, teach
from sqlalchemy import func, select

from backend.database.connection import Database, now
from backend.learning.cost_storage import CostStorage
from backend.learning.records import Step
from backend.learning.step_storage import StepChanged, StepStorage
from backend.learning.storage import ExampleStorage
from backend.learning.tables import examples, learnt_steps


def current(database: Database, uid: str = UID, base: str = BASE) -> Step:
    step = StepStorage(database, limit=LIMIT).current(uid, base)
    assert step is not None
    return step


def tasks_of(database: Database, step: Step) -> list[int]:
    members = StepStorage(database, limit=LIMIT).members(step)
    return [each.example.task_id for each in members]


def test_nothing_is_in_use_before_the_third_image(any_database: Database) -> None:
    learn(any_database, 1, 2)
    assert current(any_database).name == ""
    assert current(any_database).version == BASE
    learn(any_database, 3)
    step = current(any_database)
    assert step.name.startswith("3-")
    assert step.version == f"{BASE}+{step.name}"
    assert tasks_of(any_database, step) == [1, 2, 3]


def test_not_every_image_makes_a_step(database: Database) -> None:
    learn(database, 1, 2, 3)
    before = current(database)
    learn(database, 4)
    assert current(database) == before
    learn(database, 5)
    assert tasks_of(database, current(database)) == [1, 2, 3, 4, 5]


def test_two_annotations_of_an_image_count_as_one_image(database: Database) -> None:
    learn(database, 1, 2)
    teach(database, 12, lesson(2))
    extract(database)
    assert current(database).name == ""


def test_a_forgotten_example_is_out_of_use_at_once(any_database: Database) -> None:
    learn(any_database, 1, 2, 3, 4)
    old = current(any_database)
    teach(any_database, 2)
    new = current(any_database)
    assert new.version != old.version
    assert tasks_of(any_database, new) == [1, 3, 4]
    with pytest.raises(StepChanged):
        StepStorage(any_database, limit=LIMIT).members(old)
    teach(any_database, 3)
    assert current(any_database).name == ""


def test_a_corrected_example_makes_a_new_version_of_the_same_number(database: Database) -> None:
    learn(database, 1, 2, 3)
    old = current(database)
    teach(database, 2, lesson(2, points={"nose": (1.0, 1.0)}))
    new = current(database)
    assert (new.images, old.images) == (3, 3)
    assert new.name != old.name
    teach(database, 2, lesson(2))
    assert current(database).name == old.name  # the same content has the same name


def test_another_project_has_steps_of_its_own(any_database: Database) -> None:
    learn(any_database, 1, 2, 3)
    before = current(any_database)
    learn(any_database, 1, 2, 3, 4, 5, uid=OTHER_UID)
    assert current(any_database) == before
    assert current(any_database, OTHER_UID).images == 5


def test_a_model_with_the_same_backbone_uses_the_examples_at_once(database: Database) -> None:
    learn(database, 1, 2, 3)
    StepStorage(database, limit=LIMIT).adopt(UID, "small-another", KEY)
    assert tasks_of(database, current(database, base="small-another")) == [1, 2, 3]
    assert tasks_of(database, current(database)) == [1, 2, 3]


def test_another_backbone_has_every_example_extracted_again(any_database: Database) -> None:
    learn(any_database, 1, 2, 3)
    steps = StepStorage(any_database, limit=LIMIT)
    steps.adopt(UID, "large-another", "backbone-b")
    assert current(any_database, base="large-another").name == ""
    assert extract(any_database, key="backbone-b") == 3
    assert tasks_of(any_database, current(any_database, base="large-another")) == [1, 2, 3]
    steps.adopt(UID, "large-another", "backbone-b")  # nothing to do the second time
    assert extract(any_database) == 0


def test_beyond_the_limit_a_diverse_part_is_kept(database: Database) -> None:
    for task in range(1, 6):
        alike = {"nose": (5.0, 5.0)} if task != 2 else {"nose": (50.0, 40.0)}
        teach(database, task, lesson(task, points=alike), limit=3)
        ExampleStorage(database, limit=3).select(UID)
        StepStorage(database, limit=3).adopt(UID, BASE, KEY)
        extract(database, limit=3)
    step = current(database)
    assert step.images == 5
    with database.reading() as connection:
        kept = connection.scalar(
            select(func.count()).where(examples.c.features.is_not(None)).select_from(examples)
        )
    assert kept == 3
    assert {2, 5} < set(tasks_of(database, step))


def test_only_the_newest_step_of_a_model_is_kept(database: Database) -> None:
    """So that not even digests of what was forgotten stay."""
    learn(database, *range(1, 9))
    with database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(learnt_steps)) == 1


def test_a_new_step_is_to_be_requested_once(database: Database) -> None:
    steps = StepStorage(database, limit=LIMIT)
    learn(database, 1, 2)
    assert steps.unrequested() == []
    learn(database, 3)
    [step] = steps.unrequested()
    assert step == current(database)
    steps.mark_requested(step, now())
    assert steps.unrequested() == []


def test_costs_are_part_of_the_version_from_the_next_step_on(any_database: Database) -> None:
    """A version never names two contents, so what was measured since waits for a step."""
    learn(any_database, 1, 2, 3)
    before = current(any_database)
    costs = CostStorage(any_database)
    assert costs.claim(UID, 0, 60)
    costs.save(UID, {"place": 2.1, "drag": 0.9})
    StepStorage(any_database, limit=LIMIT).advance(UID)
    learn(any_database, 4)
    assert current(any_database) == before
    learn(any_database, 5)
    learn(any_database, 1, 2, 3, 4, 5, uid=OTHER_UID)
    after, other = current(any_database), current(any_database, OTHER_UID)
    assert (after.costs, other.costs) == ({"place": 2.1, "drag": 0.9}, {})
    assert after.name != other.name


def test_costs_are_measured_by_one_process_at_a_time(any_database: Database) -> None:
    costs = CostStorage(any_database)
    assert costs.claim(UID, 0, 60) and not costs.claim(UID, 0, 60)
    costs.save(UID, {"place": 2.1})
    assert costs.counted() == {UID: 60}
    assert costs.claim(UID, 60, 70) and not costs.claim(UID, 60, 70)
    assert costs.costs(UID) == {"place": 2.1}  # until it is measured again
