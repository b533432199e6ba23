"""Directions that hold between modules, where import-linter (pyproject.toml) cannot say it.

The layers of packages are contracts of import-linter; `make check` runs it, and so does a test
here, so that `make test` alone finds a wrong import as well.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("backend", "model", "drawings", "studies")

# SQL stands in these files alone; a connection's own (locks, pragmas) in `connection.py`, and the
# codes of the drivers' errors in `faults.py`.
SQL_FILES = {
    "storage.py",
    "delivery_storage.py",
    "due_storage.py",
    "listing_storage.py",
    "step_storage.py",
    "cost_storage.py",
    "selection_storage.py",
    "status_storage.py",
    "lesson_storage.py",
    "candidate_storage.py",
    "pull_storage.py",
    "request_storage.py",
    "version_storage.py",
    "set_aside_storage.py",
    "token_storage.py",
    "limits_storage.py",
    "webhook_storage.py",
    "interactive_storage.py",
    "backup_storage.py",
    "purge_storage.py",
    "projects.py",
    "queries.py",
    "holdout.py",
    "maps.py",
    "tables.py",
    "schema.py",
    "connection.py",
    "faults.py",
}
# What other files may take from SQLAlchemy: errors to catch, and the reading of an address.
NO_SQL = {"make_url", "sqlalchemy.exc"}


@cache
def modules() -> dict[str, Path]:
    """Return the path of every module of ours, by name; of a package its `__init__`."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def imports(module: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for everything that a module imports, inside functions as well."""
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


@cache
def own(module: str) -> frozenset[str]:
    """Return the modules of ours that a module imports."""
    named = {
        f"{source}.{name}" if f"{source}.{name}" in modules() else source
        for source, name in imports(module)
    }
    return frozenset(named & modules().keys() - {module})


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on a copy of the code, in a process of its own: it sets up logging."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_import_goes_down_the_layers() -> None:
    ended = lint(ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("backend/database/text.py", "backend.verdicts.storage"),
        ("backend/suggestions/queue.py", "backend.web.app"),
        ("backend/training/queue.py", "backend.suggestions.queue"),
        ("backend/web/app.py", "torch"),
        ("backend/web/app.py", "backend.suggestions.detection_job"),
        ("backend/agreement/report.py", "backend.verdicts.tables"),
        ("model/image.py", "flask"),
        ("model/detector.py", "drawings"),
    ],
)
def test_a_wrong_import_breaks_a_contract(importer: str, imported: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text())
    (copy / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    wrong = copy / importer
    wrong.write_text(f"{wrong.read_text()}\nimport {imported}\n")
    ended = lint(copy)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert imported in ended.stdout


def test_no_two_modules_import_each_other_on_any_way_round() -> None:
    try:
        TopologicalSorter({module: own(module) for module in modules()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


def test_only_one_module_imports_torchvision() -> None:
    having = [
        module
        for module in modules()
        if any(source.partition(".")[0] == "torchvision" for source, _ in imports(module))
    ]
    assert having == ["model.networks"]


@pytest.mark.parametrize("module", sorted(name for name in modules() if name.startswith("backend")))
def test_sql_stands_in_storages_and_queries_alone(module: str) -> None:
    path = modules()[module]
    if path.name in SQL_FILES or "migrations" in path.parts:
        return
    used = {
        name
        for source, name in imports(module)
        if source.partition(".")[0] in ("sqlalchemy", "alembic", "sqlite3", "psycopg")
        and not {source, name} & NO_SQL
    }
    assert used == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_init_of_a_package_is_empty(package: str) -> None:
    """Else importing one module would load others, torch among them."""
    full = [path for path in (ROOT / package).rglob("__init__.py") if path.read_text().strip()]
    assert full == []


@pytest.mark.parametrize(
    "module",
    [
        "backend.web.app",
        "backend.web.server",
        "backend.commands.serve",
        "backend.workers.training_worker",
        "backend.training.job",
    ],
)
def test_web_process_and_trainer_never_load_torch(module: str) -> None:
    code = (
        f"import sys, {module}; "
        "print([name for name in ('torch', 'torchvision', 'cv2') if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "[]\n", ended.stderr


@pytest.mark.parametrize("module", sorted(name for name in modules() if name[:6] != "studie"))
def test_no_decoder_is_called_without_its_list_of_formats(module: str) -> None:
    """OpenCV has no such list, so it decodes nothing; it draws and resizes."""
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in ("cv2.imread", "cv2.imdecode", "cv2.imreadmulti", "cv2.VideoCapture")
        if called in ("Image.open", "PIL.Image.open"):
            assert "formats" in {keyword.arg for keyword in node.keywords}


def test_weights_are_read_as_safetensors_or_as_weights_only() -> None:
    loads = [
        {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        for module in modules()
        for node in ast.walk(ast.parse(modules()[module].read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert loads and all(keywords.get("weights_only") == "True" for keywords in loads)
    taken = {name for module in modules() for name in imports(module)}
    unsafe = {"pickle", "_pickle", "dill", "joblib", "shelve", "marshal"}
    assert {name for name in taken if name[0] in unsafe} == {("pickle", "UnpicklingError")}
