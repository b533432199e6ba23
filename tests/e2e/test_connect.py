"""`python -m backend connect` against a real Label Studio: made, broken, noticed and repaired."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
from serving import ROOT, Serving, eventually, serving
from studio_api import api
from test_access import CONFIG, events, images, make_project, submit_annotation

from backend.labelstudio.webhook_secrets import SECRET_HEADER
from backend.local.label_studio import LocalLabelStudio

__all__ = ["images"]  # a fixture

SECRETS = {"BASIC_AUTH_USER": "studio", "BASIC_AUTH_PASS": "lät-me-in"}


def run(backend: Serving, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        env=dict(backend.environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def connect(backend: Serving, project: int) -> str:
    done = run(backend, "connect", "--project", str(project), "--backend", backend.url)
    assert done.returncode == 0, done.stderr
    assert SECRETS["BASIC_AUTH_PASS"] not in done.stdout + done.stderr
    return done.stdout


def created(backend: Serving) -> int:
    return events(backend).count("ANNOTATION_CREATED")


def test_a_connection_with_a_password_is_made_and_a_broken_webhook_noticed_and_repaired(
    label_studio: LocalLabelStudio, environment: dict[str, str], images: Path, tmp_path: Path
) -> None:
    project = make_project(label_studio, "Connected by command", CONFIG, images)
    first, second = project.tasks()

    def webhooks() -> list[dict[str, Any]]:
        found = api(label_studio, "GET", f"/api/webhooks/?project={project.id}")
        return [each for each in found if each["url"].startswith(backend.url)]

    with serving(tmp_path / "backend", environment | SECRETS) as backend:
        assert eventually(backend.health), backend.words()
        assert "connected to" in connect(backend, project.id)
        [webhook] = webhooks()
        assert webhook["headers"][SECRET_HEADER]
        project.retrieve_predictions()
        version = backend.health()["model_version"]  # type: ignore[index]
        assert eventually(lambda: len(project.predictions(version)) == 2), backend.words()
        submit_annotation(project, first)
        assert eventually(lambda: created(backend) == 1), backend.words()
        assert "sends what annotators do" in connect(backend, project.id)
        assert webhooks() == [{**webhook, "updated_at": webhooks()[0]["updated_at"]}]
        forged = {"action": "ANNOTATION_CREATED", "project": {"id": project.id}}
        answer = requests.post(f"{backend.url}/webhook", json=forged, timeout=10)
        assert answer.status_code == 401

        # As the next Label Studio does after failures.
        api(label_studio, "PATCH", f"/api/webhooks/{webhook['id']}/", json={"is_active": False})
        assert run(backend, "sync", "--project", str(project.id)).returncode == 0
        submit_annotation(project, second)
        assert run(backend, "sync", "--project", str(project.id)).returncode == 0
        assert created(backend) == 1
        found = run(backend, "doctor").stdout
        assert f"problem  Webhook of project {project.id}: is switched off" in found
        assert f"problem  Events of project {project.id}: 1 annotations came" in found
        assert f"run `python -m backend connect --project {project.id}`" in found

        assert "repaired" in connect(backend, project.id)
        submit_annotation(project, second)
        assert eventually(lambda: created(backend) == 2), backend.words()
        found = run(backend, "doctor").stdout
        assert f"ok       Webhook of project {project.id}" in found
        assert f"Events of project {project.id}" not in found


def test_a_backend_that_label_studio_does_not_reach_is_named(
    label_studio: LocalLabelStudio, backend: Serving, images: Path
) -> None:
    project = make_project(label_studio, "Not reached", CONFIG, images)
    done = run(backend, "connect", "--project", str(project.id), "--backend", "http://127.0.0.1:1")
    assert done.returncode == 78
    assert "--backend" in done.stderr
    assert "Traceback" not in done.stderr
