"""`serve` with a small Label Studio: from the button to new suggestions, whatever is killed."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from label_studio_fake import PROJECT, TOKEN, UID, LabelStudioFake, label_studio_fake
from serving import ROOT, Serving, eventually, serving
from small_weights import save_small_network
from training_scene import CONFIG, add_shapes

from backend.queue.steady_worker import WorkerRefused
from backend.settings import Settings
from backend.workers.training_worker import run_trainer


@pytest.fixture(scope="module")
def fake() -> Iterator[LabelStudioFake]:
    with label_studio_fake() as fake:
        add_shapes(fake, 16)
        yield fake


@pytest.fixture(scope="module")
def backend(fake: LabelStudioFake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("data")
    environment = {
        "LABEL_STUDIO_URL": fake.url,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "MODEL_WEIGHTS": str(save_small_network(folder / "first.safetensors", ("bus", "van"))),
        "DETECTOR_INPUT_SIZE": "32",
        "DETECTOR_STRIDE": "16",
        "OMP_NUM_THREADS": "1",
    }
    with serving(folder, environment) as backend:
        assert eventually(lambda: backend.pids("backend trainer")), backend.words()
        yield backend


def command(backend: Serving, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        env=backend.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def post(backend: Serving, path: str, body: Mapping[str, Any]) -> Any:
    answer = requests.post(f"{backend.url}{path}", json=body, timeout=60)
    assert answer.ok, answer.text
    return answer.json()


def setup(backend: Serving) -> str:
    version: str = post(backend, "/setup", {"project": UID, "schema": CONFIG})["model_version"]
    return version


def suggest(backend: Serving, fake: LabelStudioFake, number: int) -> list[str]:
    """Retrieve a prediction, and return the versions that have one."""
    task, before = fake.tasks[number], len(fake.of_task(number))
    asked = {"tasks": [task], "project": UID, "label_config": CONFIG}
    fake.store_answers([task], post(backend, "/predict", asked)["results"])
    assert eventually(lambda: len(fake.of_task(number)) > before), backend.words()
    return [each["model_version"] for each in fake.of_task(number)]


def trainings(backend: Serving) -> list[dict[str, Any]]:
    answer = requests.get(f"{backend.url}/training", timeout=10)
    found: list[dict[str, Any]] = answer.json()["trainings"]
    return found


def press(backend: Serving, fake: LabelStudioFake) -> None:
    """As Label Studio does when somebody presses "Start training"."""
    project = requests.get(
        f"{fake.url}/api/projects/{PROJECT}/",
        headers={"Authorization": f"Token {TOKEN}"},
        timeout=10,
    ).json()
    post(backend, "/webhook", {"action": "START_TRAINING", "project": project})


def test_a_new_model_answers_without_a_restart_although_its_training_was_killed(
    backend: Serving, fake: LabelStudioFake
) -> None:
    first = setup(backend)
    assert suggest(backend, fake, 1) == [first]
    workers, trainers = backend.pids("backend worker"), backend.pids("backend trainer")

    fake.hands_out.clear()  # so that the training is in the middle of something
    press(backend, fake)
    assert eventually(lambda: trainings(backend)[0]["status"] == "running"), backend.words()
    backend.kill("backend.training.process")
    fake.hands_out.set()
    assert eventually(lambda: trainings(backend)[0]["status"] == "done"), backend.words()

    second = setup(backend)
    assert second != first
    # The deployment's model stays: the project has one of its own now.
    assert backend.health()["model_version"] == first  # type: ignore[index]
    assert suggest(backend, fake, 1) == [first, second]
    assert backend.pids("backend worker") == workers
    assert backend.pids("backend trainer") == trainers
    assert "ended with status -9; it is resumed soon" in backend.words()

    assert command(backend, "models", "back", "--project", str(PROJECT)).returncode == 0
    assert setup(backend) == first
    assert suggest(backend, fake, 2) == [first]


def test_the_trainer_loads_no_torch_and_is_the_nicest(backend: Serving) -> None:
    [trainer] = backend.pids("backend trainer")
    assert "libtorch" not in Path(f"/proc/{trainer}/maps").read_text()
    workers = [niceness(pid) for pid in backend.pids("backend worker")]
    assert workers and niceness(trainer) > max(workers)


def niceness(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


def test_the_command_follows_its_training_and_reports_how_it_ended(backend: Serving) -> None:
    ended = command(backend, "train", "--project", str(PROJECT), "--epochs", "2", "--seed", "1")
    assert ended.returncode == 0, ended.stderr
    assert "trained on 8 bar, 8 disc, the choices of 'class'" in ended.stdout
    assert "of the validation images right" in ended.stdout
    assert trainings(backend)[0]["options"]["seed"] == 1
    listed = command(backend, "models").stdout.splitlines()
    assert len(listed) == 4
    assert listed[-1].startswith(f"project {PROJECT} uses ")

    failed = command(backend, "train", "--project", str(PROJECT), "--control", "species")
    assert failed.returncode == 1
    assert "'species'" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_trainer_without_redis_says_what_to_set() -> None:
    with pytest.raises(WorkerRefused, match="REDIS_URL"):
        run_trainer(Settings())
