"""Two projects on one backend: what one learns, trains or sets is nothing to the other."""

from pathlib import Path

import pytest
from label_studio_fake import CONFIG, UID
from learning_data import LIMIT, OTHER_UID, extract, learn, lesson, teach
from test_training_registry import Scene as Models
from waiting_rows import queued

from backend.database.connection import Database
from backend.labelstudio.projects import Project, ProjectStorage
from backend.learning.cost_storage import CostStorage
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.learning.versions import SuggestionVersions
from backend.suggestions.extra_params import ExtraParams


class Backend:
    """Two projects with the same model."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.models = Models(database, folder)
        self.projects = ProjectStorage(database)
        for uid in (UID, OTHER_UID):
            self.projects.save_label_config(uid, CONFIG)
        self.steps = StepStorage(database, limit=LIMIT)
        self.versions = SuggestionVersions(self.models.settings, database, self.models.registry)
        self.extra_params = ExtraParams(self.projects, self.models.registry, self.steps)
        self.base = self.models.registry.active().version

    def project(self, uid: str) -> Project:
        found = self.projects.project(uid)
        assert found is not None
        return found

    def state(self, uid: str) -> tuple[object, ...]:
        """Everything that decides what a project is suggested."""
        model = self.models.registry.active(uid)
        status = ExampleStorage(self.database, limit=LIMIT).status(uid, model.version)
        step = self.steps.current(uid, model.version)
        costs = CostStorage(self.database).costs(uid)
        members = self.steps.members(step) if step else None
        return (model, self.versions.current(uid), self.project(uid), status, step, members, costs)


@pytest.fixture
def backend(any_database: Database, tmp_path: Path) -> Backend:
    found = Backend(any_database, tmp_path)
    learn(any_database, 1, 2, 3, uid=OTHER_UID, base=found.base)
    return found


def test_what_a_project_learns_and_forgets_changes_it_alone(backend: Backend) -> None:
    before = backend.state(OTHER_UID)
    learn(backend.database, 1, 2, 3, 4, 5, base=backend.base)
    assert backend.versions.current(UID) != backend.versions.current(OTHER_UID)
    for annotation in (1, 2, 3):
        teach(backend.database, annotation)
    assert backend.versions.current(UID) == backend.base
    ExampleStorage(backend.database, limit=LIMIT).extract_again(UID)
    extract(backend.database)
    assert backend.state(OTHER_UID) == before


def test_what_a_project_sets_changes_it_alone(backend: Backend) -> None:
    learn(backend.database, 1, 2, 3, base=backend.base)
    before, own = backend.state(OTHER_UID), backend.versions.current(UID)
    backend.extra_params.accept(
        backend.project(UID), '{"tolerance": 0.2, "threshold": 0.9, "suggest": "learnt"}'
    )
    assert CostStorage(backend.database).claim(UID, 0, 60)
    CostStorage(backend.database).save(UID, {"place": 9.0})
    backend.steps.advance(UID)
    backend.steps.advance(OTHER_UID)
    assert backend.versions.current(UID) != own
    assert backend.state(OTHER_UID) == before


def test_the_model_that_a_project_trains_changes_it_alone(backend: Backend) -> None:
    learn(backend.database, 1, 2, 3, base=backend.base)
    before = backend.state(OTHER_UID)
    model = backend.models.trained(1)
    assert backend.models.registry.active(UID) == model
    # Its network looks at every example again, and only at those of its project.
    backend.steps.adopt(UID, model.version, "another backbone")
    storage = ExampleStorage(backend.database, limit=LIMIT)
    waiting = [storage.example(number) for number, _ in queued(storage)]
    assert {each.project_uid for each in waiting if each} == {UID}
    assert backend.state(OTHER_UID) == before
    assert backend.versions.current(UID) == model.version


def test_an_annotation_with_the_same_id_is_another_one(backend: Backend) -> None:
    before = backend.state(OTHER_UID)
    teach(backend.database, 1, lesson(1, points={"nose": (1.0, 1.0)}))
    teach(backend.database, 1)
    assert backend.state(OTHER_UID) == before
