"""What the settings of a project may name, on both kinds of database."""

from pathlib import Path

import pytest
from label_studio_fake import CONFIG, UID
from learning_data import BASE, LIMIT, learn
from test_training_registry import Scene

from backend.database.connection import Database
from backend.labelstudio.project_settings import NO_SETTINGS, ExtraParamsError
from backend.labelstudio.projects import Project, ProjectStorage
from backend.learning.step_storage import StepStorage
from backend.suggestions.extra_params import ExtraParams


class Settled:
    """A project, its settings, and the models there are."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.models = Scene(database, folder)
        self.projects = ProjectStorage(database)
        self.steps = StepStorage(database, limit=LIMIT)
        self.extra_params = ExtraParams(self.projects, self.models.registry, self.steps)
        self.configure(CONFIG)

    @property
    def project(self) -> Project:
        found = self.projects.project(UID)
        assert found is not None
        return found

    def configure(self, label_config: str) -> None:
        self.projects.save_label_config(UID, label_config)

    def accept(self, raw: object) -> None:
        self.extra_params.accept(self.project, raw)

    def problems(self) -> list[str]:
        return list(self.extra_params.problems(self.project, self.project.settings))


@pytest.fixture
def settled(any_database: Database, tmp_path: Path) -> Settled:
    return Settled(any_database, tmp_path)


def test_settings_are_stored_with_the_project_and_removed_with_null(settled: Settled) -> None:
    settled.accept('{"threshold": 0.4, "thresholds": {"nose": 0.6}}')
    assert settled.project.settings.as_json() == {"threshold": 0.4, "thresholds": {"nose": 0.6}}
    settled.accept(None)
    assert settled.project.settings == NO_SETTINGS


def test_a_new_connection_or_configuration_keeps_the_settings(settled: Settled) -> None:
    settled.accept({"threshold": 0.4})
    settled.configure(CONFIG.replace("bus", "tram"))
    settled.projects.save_connection(
        UID, hostname="http://a", access_token="t", label_config=CONFIG
    )
    assert settled.project.settings.threshold == 0.4
    assert settled.project.hostname == "http://a"


def test_what_is_refused_leaves_the_settings_as_they_were(settled: Settled) -> None:
    settled.accept({"threshold": 0.4})
    for wrong in ({"threshold": 4}, {"thresholds": {"tail": 0.5}}, {"model": "vgg19-0"}):
        with pytest.raises(ExtraParamsError):
            settled.accept(wrong)
    assert settled.project.settings.as_json() == {"threshold": 0.4}


def test_a_new_setting_must_name_labels_and_models_that_exist(settled: Settled) -> None:
    with pytest.raises(ExtraParamsError, match=r"labels of kp \('nose', 'bus'\), got 'tail'"):
        settled.accept({"thresholds": {"tail": 0.5}})
    own = settled.models.registry.of_settings.version
    with pytest.raises(ExtraParamsError, match=f"to be deployment or {own}, got 'vgg19-0'"):
        settled.accept({"model": "vgg19-0"})
    settled.accept({"thresholds": {"NOSE": 0.5}, "model": own})


def test_a_label_that_disappears_later_is_a_problem_and_no_refusal(settled: Settled) -> None:
    """Else a project would lose its suggestions because of a change of its configuration."""
    settled.accept({"thresholds": {"bus": 0.5}})
    settled.configure(CONFIG.replace("bus", "tram"))
    settled.accept({"thresholds": {"bus": 0.5}})
    assert settled.project.settings.thresholds == {"bus": 0.5}
    [problem] = settled.problems()
    assert "got 'bus'" in problem


def test_without_a_usable_configuration_labels_are_not_checked(settled: Settled) -> None:
    settled.configure("<View/>")
    settled.accept({"thresholds": {"tail": 0.5}})
    assert settled.problems() == []


def test_a_trained_model_can_be_named(settled: Settled) -> None:
    model = settled.models.trained(1, use=False)
    settled.accept({"model": model.version})
    assert settled.models.active == model
    settled.accept({"model": "deployment"})
    assert settled.models.active == settled.models.registry.of_settings


def test_a_model_without_weights_cannot_be_named_and_is_a_problem_where_it_is(
    settled: Settled,
) -> None:
    gone, named = (settled.models.trained(number, use=False) for number in (1, 2))
    settled.accept({"model": named.version})
    settled.models.delete_weights(1, 2)
    with pytest.raises(ExtraParamsError, match=f"got '{gone.version}', whose weights do not exist"):
        settled.accept({"model": gone.version})
    settled.accept({"model": named.version})
    [problem] = settled.problems()
    assert "whose weights do not exist" in problem


def test_another_tolerance_makes_a_step_at_once_and_the_former_one_brings_its_version_back(
    settled: Settled,
) -> None:
    learn(settled.database, 1, 2, 3)
    version = settled.steps.version(UID, BASE)
    settled.accept('{"tolerance": 0.1}')
    step = settled.steps.current(UID, BASE)
    assert step is not None and step.tolerance == 0.1
    assert step.version != version and step.version.startswith(f"{BASE}+3-")
    assert [each.version for each in settled.steps.unrequested()] == [step.version]
    settled.accept('{"tolerance": 0.1, "threshold": 0.4}')  # says nothing else about scores
    assert settled.steps.current(UID, BASE) == step
    settled.accept(None)
    assert settled.steps.version(UID, BASE) == version


def test_a_tolerance_waits_for_the_first_step(settled: Settled) -> None:
    settled.accept('{"tolerance": 0.1}')
    learn(settled.database, 1, 2)
    assert settled.steps.version(UID, BASE) == BASE
    learn(settled.database, 3)
    step = settled.steps.current(UID, BASE)
    assert step is not None and (step.images, step.tolerance) == (3, 0.1)


def test_only_choices_about_single_regions_can_be_explained(settled: Settled) -> None:
    about = (
        '<Choices name="seen" toName="image" perRegion="true"><Choice value="verdeckt" alias="v"/>'
        "</Choices></View>"
    )
    settled.configure(CONFIG.replace("</View>", about))
    settled.accept({"visibility": {"verdeckt": "occluded", "v": "occluded"}})
    assert settled.project.settings.visibility == {"verdeckt": "occluded", "v": "occluded"}
    with pytest.raises(ExtraParamsError, match=r"choices of a <Choices perRegion=.*got 'bus'"):
        settled.accept({"visibility": {"bus": "occluded"}})
