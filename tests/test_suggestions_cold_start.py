from dataclasses import replace
from pathlib import Path

import pytest
from label_studio_fake import CONFIG, UID
from learning_data import learn
from small_weights import save_small_network

from backend.database.connection import Database
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import Project, ProjectStorage
from backend.learning.versions import SuggestionVersions
from backend.settings import Settings
from backend.suggestions.cold_start import ADVICE, ColdStart
from backend.training.registry import ModelRegistry

LANDMARKS = CONFIG.replace('value="bus"', 'value="tail"')


@pytest.fixture
def project(database: Database) -> Project:
    ProjectStorage(database).save_label_config(UID, LANDMARKS)
    found = ProjectStorage(database).project(UID)
    assert found is not None
    return found


def advice(
    database: Database, project: Project, weights: Path, **values: object
) -> tuple[str | None, str]:
    """What is advised, and the version of the model."""
    settings = Settings(model_weights=str(weights), **values)  # type: ignore[arg-type]
    models = ModelRegistry(settings, database)
    cold_start = ColdStart(settings, models, SuggestionVersions(settings, database, models))
    return cold_start.advice(project), models.active(UID).version


def test_a_project_with_names_of_landmarks_begins_with_three_corrections(
    database: Database, project: Project, tmp_path: Path
) -> None:
    weights = save_small_network(tmp_path / "small.safetensors")
    said, version = advice(database, project, weights)
    assert said == ADVICE
    assert "correct three images" in ADVICE
    learn(database, 1, 2, 3, uid=UID, base=version)
    assert advice(database, project, weights)[0] is None


def test_nothing_is_said_where_suggestions_are_shown(
    database: Database, project: Project, tmp_path: Path
) -> None:
    weights = save_small_network(tmp_path / "small.safetensors")
    always = replace(project, settings=ProjectSettings(suggest="always"))
    assert advice(database, always, weights)[0] is None
    assert advice(database, project, weights, default_label="nose")[0] is None
    broken = replace(project, label_config="<View/>")
    assert advice(database, broken, weights)[0] is None
    one = replace(project, label_config=CONFIG.replace('<Label value="bus"/>', ""))
    assert advice(database, one, weights)[0] is None


def test_points_that_are_only_learnt_begin_with_corrections_too(
    database: Database, project: Project, tmp_path: Path
) -> None:
    weights = save_small_network(tmp_path / "small.safetensors")
    one = replace(project, label_config=CONFIG.replace('<Label value="bus"/>', ""))
    assert advice(database, one, weights, suggest="learnt")[0] == ADVICE
