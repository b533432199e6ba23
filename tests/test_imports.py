"""Which module may import which: the backend the model, and both only downwards."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVICES = {"flask", "rq", "redis", "sqlalchemy", "alembic", "requests", "gunicorn", "backend"}
ABOVE_THE_MODEL = SERVICES | {"drawings", "studies"}


@cache
def modules() -> dict[str, Path]:
    """Every module of ours, by its name; of a package its `__init__`."""
    found = {}
    for package in ("backend", "model", "drawings", "studies"):
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def imported(module: str) -> frozenset[str]:
    """What a module imports anywhere in its text, functions included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names.update(each if each in modules() else node.module for each in inner)
    return frozenset(names)


def own(module: str) -> set[str]:
    return {name for name in imported(module) if name in modules()} - {module}


@cache
def reached(module: str) -> frozenset[str]:
    """Every module of ours that comes in with a module."""
    found: set[str] = set()
    to_see = own(module)
    while to_see:
        found |= to_see
        to_see = {name for each in to_see for name in own(each)} - found
    return frozenset(found)


def parts(module: str) -> set[str]:
    """A module, or a package with all that is in it."""
    return {name for name in modules() if name == module or name.startswith(f"{module}.")}


def test_no_two_modules_import_each_other_on_any_way_round() -> None:
    try:
        TopologicalSorter({module: own(module) for module in modules()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


@pytest.mark.parametrize("module", sorted(name for name in modules() if name.startswith("model")))
def test_the_model_knows_of_no_service_drawing_or_study(module: str) -> None:
    assert {name.partition(".")[0] for name in imported(module)} & ABOVE_THE_MODEL == set()


def test_only_workers_and_tools_know_the_jobs() -> None:
    assert [name for name in modules() if "backend.suggestions.detection_job" in own(name)] == [
        "backend.workers.detection_worker"
    ]


def test_only_one_module_imports_torchvision() -> None:
    having = [
        name
        for name in modules()
        if any(each.partition(".")[0] == "torchvision" for each in imported(name))
    ]
    assert having == ["model.networks"]


@pytest.mark.parametrize(
    "module", ["web.app", "commands.serve", "workers.training_worker", "training.job"]
)
def test_web_process_and_trainer_never_load_torch(module: str) -> None:
    code = (
        f"import sys, backend.{module}; "
        "print([name for name in ('torch', 'torchvision', 'cv2') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "[]\n", ended.stderr
