"""Who may talk to whom: basic authentication, personal access tokens, unfit configurations."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
import requests
from serving import Serving, eventually, serving

from backend.commands.demo_project import DemoProject, find_or_create, label_config
from backend.local.label_studio import LocalLabelStudio
from drawings.drawing import draw

CONFIG = label_config(("saloon", "van", "bus"))
NO_KEYPOINTS = (
    '<View><Image name="image" value="$image"/>'
    '<RectangleLabels name="box" toName="image"><Label value="car"/></RectangleLabels></View>'
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(2):
        drawing = draw(index, (320, 240), seed=11)
        cv2.imwrite(str(folder / f"{index}.png"), drawing.image[..., ::-1])
    return folder


def make_project(studio: LocalLabelStudio, title: str, config: str, images: Path) -> DemoProject:
    project = find_or_create(studio, title, config)
    project.upload(images)
    return project


def submit_annotation(project: DemoProject, task: int) -> None:
    studio = project.label_studio
    requests.post(
        f"{studio.url}/api/tasks/{task}/annotations/?project={project.id}",
        json={"result": [], "lead_time": 1},
        headers=studio.headers,
        timeout=30,
    ).raise_for_status()


def events(backend: Serving) -> list[str]:
    with sqlite3.connect(backend.folder / "backend.sqlite3") as database:
        return [action for (action,) in database.execute("SELECT action FROM events")]


def test_with_basic_authentication_suggestions_and_events_pass_and_strangers_do_not(
    label_studio: LocalLabelStudio, environment: dict[str, str], images: Path, tmp_path: Path
):
    """The address carries user and password: Label Studio sends them with its events as well."""
    secrets = {"BASIC_AUTH_USER": "studio", "BASIC_AUTH_PASS": "let-me-in"}
    project = make_project(label_studio, "Basic authentication", CONFIG, images)
    with serving(tmp_path / "backend", environment | secrets) as backend:
        assert eventually(backend.health), backend.words()
        version = backend.health()["model_version"]
        project.connect(backend.url.replace("http://", "http://studio:let-me-in@"))
        project.retrieve_predictions()
        assert eventually(lambda: len(project.predictions(version)) == 2), backend.words()

        submit_annotation(project, next(iter(project.tasks())))
        assert eventually(lambda: "ANNOTATION_CREATED" in events(backend)), backend.words()

        for way in ("predict", "setup", "webhook"):
            assert requests.post(f"{backend.url}/{way}", json={}, timeout=10).status_code == 401
        assert "let-me-in" not in backend.words()


class WithPersonalToken(LocalLabelStudio):
    """A Label Studio whose `token` is a personal one."""

    @property
    def headers(self) -> dict[str, str]:
        answer = requests.post(
            f"{self.url}/api/token/refresh/", json={"refresh": self.token}, timeout=30
        )
        return {"Authorization": f"Bearer {answer.json()['access']}"}


@contextmanager
def personal_token_alone(studio: LocalLabelStudio) -> Iterator[str]:
    """A personal access token, in an organization that refuses legacy tokens meanwhile."""
    with requests.Session() as person:
        person.get(f"{studio.url}/user/login", timeout=30)
        person.post(
            f"{studio.url}/user/login",
            data={
                "email": studio.user,
                "password": studio.password,
                "csrfmiddlewaretoken": person.cookies["csrftoken"],
            },
            timeout=30,
        ).raise_for_status()

        def post(path: str, body: dict[str, object]) -> requests.Response:
            headers = {"X-CSRFToken": person.cookies["csrftoken"], "Referer": studio.url}
            answer = person.post(f"{studio.url}{path}", json=body, headers=headers, timeout=30)
            answer.raise_for_status()
            return answer

        token = post("/api/token/", {}).json()["token"]
        switches = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": False}
        post("/api/jwt/settings", switches)
        try:
            yield token
        finally:
            post("/api/jwt/settings", switches | {"legacy_api_tokens_enabled": True})


def test_a_personal_access_token_fetches_images_and_delivers_where_legacy_tokens_are_refused(
    label_studio: LocalLabelStudio, environment: dict[str, str], images: Path, tmp_path: Path
):
    project = make_project(label_studio, "Personal access token", CONFIG, images)
    # Nothing is ready at once, so that the worker has to deliver.
    settings = environment | {"PREDICT_WAIT_BATCH": "0"}
    with personal_token_alone(label_studio) as token:
        refused = requests.get(
            f"{label_studio.url}/api/projects", headers=label_studio.headers, timeout=30
        )
        assert refused.status_code == 401
        settings["LABEL_STUDIO_API_KEY"] = token
        with serving(tmp_path / "backend", settings) as backend:
            assert eventually(backend.health), backend.words()
            studio = WithPersonalToken(**{**vars(label_studio), "token": token})
            bearer = DemoProject(studio, project.id)
            bearer.connect(backend.url)
            bearer.retrieve_predictions()
            version = backend.health()["model_version"]
            assert eventually(lambda: len(bearer.predictions(version)) == 2), backend.words()
            assert token not in backend.words()


def test_a_configuration_without_keypoints_is_explained_and_nothing_is_suggested(
    label_studio: LocalLabelStudio, backend: Serving, images: Path
):
    project = make_project(label_studio, "No keypoints", NO_KEYPOINTS, images)
    project.connect(backend.url)
    project.retrieve_predictions()

    assert "KeyPointLabels" in backend.words()
    assert project.predictions(backend.health()["model_version"]) == {}
    assert "Traceback" not in backend.words()
