"""The demonstration corrects the first drawings once, and waits until they are learnt."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from loopback_server import Answer, Request, as_json, loopback_server

from backend.commands.demo_corrections import CORRECTED, correct_first
from backend.commands.demo_drawings import TrueLandmarks
from backend.commands.demo_processes import DemoBackend
from backend.commands.demo_project import DemoProject, landmark_config
from backend.commands.demo_report import instructions
from backend.commands.demo_subject import Subject
from backend.labelstudio.regions import to_keypoint
from backend.local.label_studio import LocalLabelStudio

UID = "1.1795347724"
TASKS = range(1, 9)


class Runs:
    """A process that has not ended."""

    def poll(self) -> None:
        return None


RUNNING = cast(subprocess.Popen[bytes], Runs())


@dataclass
class Both:
    """Label Studio and the backend, as far as the demonstration calls them.

    Attributes:
        submitted: task → regions of each annotation.
        failures: reasons of corrected images that cannot be learnt.
    """

    url: str = ""
    submitted: dict[int, list[list[dict[str, Any]]]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    def answer(self, request: Request, _: object) -> Answer:
        path = request.path.partition("?")[0]
        if path == "/":
            learnt = 0 if self.failures else len(self.submitted)
            learning = {"learnt": learnt, "failures": self.failures}
            state = {"project": UID, "model_version": "small", "learning": learning}
            return as_json({"projects": [state]})
        if path.endswith("/annotations/"):
            task = int(path.split("/")[3])
            self.submitted.setdefault(task, []).append(request.json["result"])
            return as_json({})
        if path == "/api/projects/1/":
            made = {"created_at": "2026-11-22T11:42:04Z", "label_config": ""}
            return as_json({"id": 1, **made})
        if path == "/api/predictions":
            made = {"model_version": "small", "result": []}
            return as_json([{"id": task, "task": task, **made} for task in TASKS])
        tasks = [
            {
                "id": task,
                "data": {"image": f"/data/upload/1/0a1b2c3d-{task}.png"},
                "total_annotations": len(self.submitted.get(task, [])),
            }
            for task in TASKS
        ]
        return as_json({"tasks": tasks, "total": len(tasks)})

    @property
    def project(self) -> DemoProject:
        studio = LocalLabelStudio(self.url, "user", "password", "token", Path("log"), RUNNING)
        return DemoProject(studio, 1)

    @property
    def backend(self) -> DemoBackend:
        return DemoBackend(self.url, Path("backend.log"), RUNNING)


@pytest.fixture
def both() -> Iterator[Both]:
    both = Both()
    with loopback_server(both.answer) as served:
        both.url = served.url
        yield both


@pytest.fixture
def subject() -> Subject:
    true = {
        f"{task}.png": TrueLandmarks((200, 100), 90.0, {"wheel": (10.0 * task, 50.0)})
        for task in TASKS
    }
    config = landmark_config(("wheel", "lamp"))
    return Subject("Cars", Path(), config, None, None, true)


def test_the_true_landmarks_of_the_first_drawings_are_submitted(both: Both, subject: Subject):
    correct_first(both.project, both.backend, subject, timeout=10)
    assert sorted(both.submitted) == list(TASKS)[:CORRECTED]
    for task, annotations in both.submitted.items():
        [[region]] = annotations
        assert "score" not in region  # drawn, not suggested
        point = to_keypoint(region)
        assert (point.label, point.x, point.y) == ("wheel", pytest.approx(10.0 * task), 50.0)


def test_nothing_is_corrected_twice(both: Both, subject: Subject):
    both.submitted[2] = [[]]  # by hand
    correct_first(both.project, both.backend, subject, timeout=10)
    correct_first(both.project, both.backend, subject, timeout=10)
    assert {task: len(found) for task, found in both.submitted.items()} == dict.fromkeys(
        list(TASKS)[:CORRECTED], 1
    )
    assert both.submitted[2] == [[]]


def test_a_drawing_that_cannot_be_learnt_is_reported_with_the_reason(both: Both, subject: Subject):
    both.failures["the image is gone"] = 1
    with pytest.raises(RuntimeError, match=r"got 0: the image is gone; see backend\.log"):
        correct_first(both.project, both.backend, subject, timeout=10)


def test_a_backend_that_does_not_know_the_project_is_reported(both: Both):
    with pytest.raises(RuntimeError, match=r"to tell of project 9\.9"):
        both.backend.state_of("9.9")


def test_the_instructions_say_what_was_corrected_and_what_is_left(both: Both, subject: Subject):
    told = instructions(both.project, both.backend, subject, range(6, 9), {})
    assert "annotated the first 5 through Label Studio's API" in told
    assert "from\n  these 5, and suggests named points on the other 3." in told
    later = instructions(both.project, both.backend, subject, [8], {})
    assert "these 5 and the 2 annotated since, and suggests named points on the other 1" in later
    done = instructions(both.project, both.backend, subject, [], {})
    assert "Every image is annotated" in done
    assert "Label All Tasks" not in done


def test_the_instructions_for_photos_do_not_speak_of_corrections_that_nobody_made(both: Both):
    photos = Subject("Photos", Path(), "", None, None, landmarks=None)
    told = instructions(both.project, both.backend, photos, TASKS, {3: "the image is damaged"})
    assert "annotated the first" not in told
    assert "Nothing was corrected for you" in told
    assert "Task 3 has no suggestion: the image is damaged" in told
