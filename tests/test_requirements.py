"""The locks belong to the requirements, and name what is installed; all without a network."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKED = (
    "requirements",
    "requirements-dev",
    "requirements-bench",
    "requirements-label-studio",
    "requirements-label-studio-ml",
)
# Their files differ between the builds for CPU and CUDA; see docs/security.md.
UNLOCKED = {"torch", "torchvision", "triton"}


def requirements(path: Path) -> list[Requirement]:
    """What a file of requirements asks for, with the files that it names."""
    found = []
    for line in path.read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("-r"):
            found += requirements(path.with_name(line.split()[1]))
        elif line:
            found.append(Requirement(line))
    return found


def locked(name: str) -> dict[str, list[Requirement]]:
    """Package → its entries in a lock, one for each kind of machine; each has hashes."""
    found: dict[str, list[Requirement]] = {}
    text = (ROOT / f"{name}.lock").read_text().replace("\\\n", " ")
    for line in filter(None, text.splitlines()):
        entry, *hashes = line.split("--hash=")
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes)
        requirement = Requirement(entry)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("name", LOCKED)
def test_every_requirement_is_pinned_and_locked_in_the_same_version(name: str):
    lock = locked(name)
    for wanted in requirements(ROOT / f"{name}.txt"):
        assert re.fullmatch(r"==[^*,]+", str(wanted.specifier)), f"{wanted} is not pinned"
        package = canonicalize_name(wanted.name)
        if package not in UNLOCKED:
            versions = {str(entry.specifier) for entry in lock[package]}
            assert versions == {str(wanted.specifier)}, "`make lock` brings the lock up to date"


@pytest.mark.parametrize("name", LOCKED)
def test_a_lock_holds_exact_versions_and_no_build_of_torch(name: str):
    lock = locked(name)
    for package, entries in lock.items():
        assert all(re.fullmatch(r"==[^*,]+", str(entry.specifier)) for entry in entries)
        assert package not in UNLOCKED
        assert not package.startswith(("nvidia-", "cuda-"))


def test_everything_that_the_backend_needs_here_is_locked():
    """The closure of the requirements, as the installed packages name their own."""
    lock, seen = locked("requirements"), set()
    waiting = [
        (each.name, frozenset(each.extras))
        for each in requirements(ROOT / "requirements.txt")
        if each.marker is None or each.marker.evaluate()
    ]
    while waiting:
        name, extras = waiting.pop()
        package = canonicalize_name(name)
        if (package, extras) in seen or package.startswith(("nvidia-", "cuda-")):
            continue
        seen.add((package, extras))
        try:
            needs = distribution(package).requires or []
        except PackageNotFoundError:
            assert package in UNLOCKED, f"{package} is not installed"  # CPU builds have no triton
            continue
        for need in map(Requirement, needs):
            environments = [{"extra": extra} for extra in extras or {""}]
            if need.marker is None or any(map(need.marker.evaluate, environments)):
                waiting.append((need.name, frozenset(need.extras)))
    assert len(seen) > 30
    assert {package for package, _ in seen} - lock.keys() <= UNLOCKED


def test_each_lock_is_made_by_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    [names] = re.findall(r"^LOCKS := (.*)$", makefile, re.MULTILINE)
    assert tuple(names.split()) == LOCKED
    assert {path.stem for path in ROOT.glob("*.lock")} == set(LOCKED)
    tools = {each.name for each in requirements(ROOT / "requirements-tools.txt")}
    assert tools == {"uv", "cyclonedx-bom"}


def test_the_image_is_built_from_the_lock():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert yaml.safe_load((ROOT / "docker-compose.yml").read_text())["x-backend"]["build"]
