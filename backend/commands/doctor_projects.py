"""The doctor's checks of projects with a model or with settings of their own."""

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from backend.commands.doctor_results import CheckResult, note, ok, problem
from backend.labelstudio.export_advice import export_advice
from backend.labelstudio.projects import Project, ProjectStorage, project_id_of
from backend.learning.progress import say_progress
from backend.learning.step_storage import StepStorage
from backend.learning.storage import ExampleStorage
from backend.learning.versions import SuggestionVersions
from backend.settings import Settings
from backend.suggestions.cold_start import ColdStart
from backend.suggestions.extra_params import ExtraParams
from backend.training.registry import ModelRegistry, existing_database


def check_projects(settings: Settings) -> Iterator[CheckResult]:
    """Check each project that has a model or settings of its own, or has to begin by correcting."""
    with existing_database(settings) as database:
        if database is None:
            return
        try:
            registry = ModelRegistry(settings, database)
            projects = ProjectStorage(database)
            versions = SuggestionVersions(settings, database, registry)
            steps = StepStorage(database, limit=settings.learn_examples)
            extra_params = ExtraParams(projects, registry, steps)
            cold_start = ColdStart(settings, registry, versions)
            examples = ExampleStorage(database, limit=settings.learn_examples)
            for project in projects.projects():
                number = project_id_of(project.uid)
                if number is not None and projects.find_uid(number) != project.uid:
                    continue  # Label Studio has reused the id of a project that was deleted
                yield from _check_project(project, registry, extra_params)
                status = examples.status(project.uid, registry.active(project.uid).version)
                begins = cold_start.advice(project) is not None
                if begins or status.in_use:
                    tell = note if begins else ok
                    progress = say_progress(status, suggests_before=not begins)
                    yield tell(f"Project {number or project.uid}", progress)
        except (SQLAlchemyError, OSError):
            return  # the checks of database and model have said so


def _check_project(
    project: Project, registry: ModelRegistry, extra_params: ExtraParams
) -> Iterator[CheckResult]:
    own = registry.own(project.uid)
    number = project_id_of(project.uid)
    name = f"Project {project.uid if number is None else number}"
    for text in extra_params.problems(project, project.settings):
        yield problem(name, f"Extra params: {text}; change them under Settings > Model > Edit")
    advice = export_advice(project.label_config or "")
    if advice is not None:
        yield note(name, advice)
    if own is not None and not own.has_weights and own.version != project.settings.model:
        yield problem(
            name,
            f"its model {own.version} is trained, but {own.weights} does not exist: set MODELS_DIR "
            "to the folder of its training, or choose another one: `python -m backend models use`",
        )
    elif own is not None or project.settings.as_json():
        model = f"model {own.version}, its own" if own else "the model of the deployment"
        yield ok(name, f"{model}; settings of its own: {project.settings}")
