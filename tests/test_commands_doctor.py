import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from label_studio_fake import TOKEN, UID
from learning_data import KEY, extract, lesson, teach
from loopback_server import Answer, LoopbackServer, Request, as_json, loopback_server
from pydantic import SecretStr
from redis import Redis
from rq import Queue, SimpleWorker
from small_weights import save_small_network
from sqlalchemy import create_engine, text
from test_training_registry import OUTCOME, new_model

from backend.commands.doctor import check_all
from backend.commands.doctor_database import check_database
from backend.commands.doctor_files import check_data_folder
from backend.commands.doctor_label_studio import check_label_studio
from backend.commands.doctor_model import check_model
from backend.commands.doctor_projects import check_projects
from backend.commands.doctor_redis import check_redis
from backend.commands.doctor_web import check_web
from backend.commands.doctor_workers import check_workers
from backend.database.connection import Database
from backend.labelstudio.project_settings import ProjectSettings
from backend.labelstudio.projects import ProjectStorage
from backend.labelstudio.webhook_secrets import SECRET_HEADER
from backend.learning.step_storage import StepStorage
from backend.settings import Settings
from backend.suggestions.queue import NAME
from backend.training.queue import TRAINING_QUEUE
from backend.training.records import TrainingOptions
from backend.training.registry import active_model
from backend.training.storage import ModelStorage, TrainingStorage
from backend.upkeep.storage import DeploymentStorage
from backend.verdicts.program_version import program_version
from backend.workers.cards import PREFIX, WorkerCard, worker_cards

CONFIG = (
    '<View><Image name="image" value="$image"/><KeyPointLabels name="kp" toName="image">'
    '<Label value="bus"/></KeyPointLabels></View>'
)
LEGACY_OFF = "legacy token authentication has been disabled for this organization"


class Studio:
    """The part of Label Studio 1.23.2 that describes its projects and connects backends."""

    def __init__(self) -> None:
        self.token_refusal: str | None = None
        self.blocks_private_addresses = False
        self.projects: list[dict[str, Any]] = [
            {
                "id": 3,
                "title": "Buses",
                "created_at": "2026-11-22T16:44:01.618139Z",
                "label_config": CONFIG,
                "show_collab_predictions": True,
            }
        ]
        self.user: dict[str, Any] = {"email": "anna@example.com"}
        self.backends: list[dict[str, Any]] = []
        self.webhooks: list[dict[str, Any]] = []
        self.made = 0

    def connect(self, backend: str) -> None:
        row = {"id": 1, "title": "keypoints", "url": backend, "model_version": "another"}
        self.backends.append(
            row | {"state": "CO", "readable_state": "Connected", "error_message": None}
        )
        hook = {"id": 1, "url": f"{backend}/webhook", "headers": {}, "is_active": True}
        self.webhooks.append(hook | {"send_payload": True, "send_for_all_actions": True})

    def handle(self, request: Request, _: BaseHTTPRequestHandler) -> Answer:
        path = request.path.partition("?")[0]
        if path == "/health":
            return Answer(body=b'{"status": "UP"}', headers={"Content-Type": "text/html"})
        if self.token_refusal is not None:
            return as_json({"detail": self.token_refusal}, 401)
        if request.method == "POST":
            return self.refuse(request.json)
        answers: dict[str, Any] = {
            "/api/current-user/whoami": self.user,
            "/api/projects/": {"results": self.projects, "next": None},
            "/api/ml": self.backends,
            "/api/webhooks/": self.webhooks,
        }
        return as_json(answers[path])

    def refuse(self, body: dict[str, Any]) -> Answer:
        if self.blocks_private_addresses:
            said = "URL resolves to a reserved network address (block: 127.0.0.0/8)"
            return as_json({"detail": said}, 403)
        if body["project"] == 0:
            unknown = {"project": ['Invalid pk "0" - object does not exist.']}
            return as_json({"detail": "Validation error", "validation_errors": unknown}, 400)
        self.made += 1
        return as_json(body, 201)


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def settings(server: LoopbackServer, redis_url: str, tmp_path: Path) -> Settings:
    return Settings(
        label_studio_url=server.url,
        label_studio_api_key=TOKEN,
        redis_url=redis_url,
        data_dir=tmp_path,
    )


def lines(results: Iterator[Any]) -> list[str]:
    return [str(result) for result in results]


def only(results: Iterator[Any]) -> str:
    (line,) = lines(results)
    return line


def changed(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update=values)


def test_a_deployment_without_fault_has_no_problem(
    settings: Settings,
    studio: Studio,
    database: Database,
    redis_connection: Redis,
    queue: Queue,
    capsys: pytest.CaptureFixture[str],
):
    def health(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        return as_json({"status": "UP", "model_version": settings.model_version()})

    with loopback_server(health) as web:
        settings = changed(settings, port=web.port)
        studio.connect(web.url)
        worker = SimpleWorker([NAME], connection=redis_connection)
        worker.register_birth()
        assert check_all(settings) == 0
    said = capsys.readouterr().out
    assert "problem" not in said.replace("No problems found.", "")
    for about in ("Data folder", "Database", "Redis", "Worker", "Web process", "Token"):
        assert f"ok       {about}: " in said
    assert "ok       Project 3, Buses: connected" in said
    assert "ok       Webhook of project 3: " in said


def test_problems_are_counted_and_make_the_exit_status_1(
    settings: Settings, capsys: pytest.CaptureFixture[str]
):
    assert check_all(changed(settings, redis_url="redis://127.0.0.1:1/0", port=1)) == 1
    said = capsys.readouterr().out
    assert "problem  Redis: REDIS_URL does not answer" in said
    assert "problem  Web process: no answer from http://127.0.0.1:1/health" in said
    assert "problem  Projects: none is connected" in said
    assert "3 problems found." in said


def test_it_changes_nothing_in_label_studio(settings: Settings, studio: Studio):
    list(check_label_studio(settings))
    studio.connect("http://127.0.0.1:9090")
    list(check_label_studio(settings))
    assert studio.made == 0


def test_a_malformed_answer_is_a_problem_in_one_sentence(settings: Settings, studio: Studio):
    studio.user = {"email": None}
    *_, last = lines(check_label_studio(settings))
    assert last.startswith("problem  Label Studio: expected an email address in 'email', got null")


def test_a_malformed_project_leaves_the_check_of_the_others(
    settings: Settings, studio: Studio, caplog: pytest.LogCaptureFixture
):
    studio.projects.insert(0, {"id": None})
    studio.connect(f"http://127.0.0.1:{settings.port}")
    assert any(
        "Project 3, Buses: connected" in line for line in lines(check_label_studio(settings))
    )
    assert "expected a whole number in 'id', got null" in caplog.text


def test_a_data_folder_that_is_not_a_folder_is_reported(settings: Settings, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    line = only(check_data_folder(changed(settings, data_dir=tmp_path / "file")))
    assert line.startswith("problem  Data folder")
    assert "set DATA_DIR" in line


def test_weights_that_are_downloaded_are_noted(settings: Settings):
    line = only(check_model(settings))
    assert line.startswith("note     Model: squeezenet1_1-")
    assert "IMAGENET1K_V1" in line


def test_weights_in_a_file_are_read(settings: Settings, tmp_path: Path):
    weights = save_small_network(tmp_path / "weights.safetensors")
    with_file = changed(settings, model_weights=str(weights))
    assert only(check_model(with_file)).startswith("ok       Model: small-")


def test_a_database_that_is_not_made_yet_is_noted_and_not_made(settings: Settings, tmp_path: Path):
    assert only(check_database(settings)).startswith("note     Database")
    assert not (tmp_path / "backend.sqlite3").exists()


def test_a_database_of_another_version_is_reported(
    settings: Settings, database: Database, tmp_path: Path
):
    assert only(check_database(settings)).startswith("ok       Database")
    engine = create_engine(f"sqlite:///{tmp_path / 'backend.sqlite3'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    engine.dispose()
    line = only(check_database(settings))
    assert line.startswith("problem  Database")
    assert "version older" in line


def test_a_database_that_does_not_answer_is_reported_without_its_password(settings: Settings):
    url = "postgresql://anna:swordfish@127.0.0.1:1/backend"
    line = only(check_database(changed(settings, database_url=url)))
    assert line.startswith("problem  Database: DATABASE_URL cannot be used: it does not answer")
    assert "swordfish" not in line


def test_trained_weights_that_are_not_here_are_reported(settings: Settings, database: Database):
    ProjectStorage(database).save_label_config(UID, CONFIG)
    trainings = TrainingStorage(database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=False)
    ModelStorage(database).activate(1, "command", None)
    url = str(database.engine.url)
    found = changed(settings, database_url=url)
    line = only(check_model(found))
    assert line.startswith("problem  Model: small-")
    assert "set MODELS_DIR" in line
    assert "models back" in line
    found.models_folder.mkdir(parents=True)
    save_small_network(found.models_folder / "1.safetensors")
    assert only(check_model(found)).startswith("ok       Model: small-")


def test_that_nobody_trains_is_noted(settings: Settings, redis_connection: Redis):
    assert lines(check_workers(settings))[1].startswith("note     Trainer: none is running")
    SimpleWorker([TRAINING_QUEUE], connection=redis_connection).register_birth()
    assert len(lines(check_workers(settings))) == 1


def test_a_redis_without_a_worker_is_reported(settings: Settings, redis_connection: Redis):
    assert lines(check_redis(settings))[0].startswith("ok       Redis")
    assert lines(check_workers(settings))[0].startswith("problem  Worker: none is running")


def test_the_devices_that_workers_detect_on_are_named(
    settings: Settings, redis_connection: Redis, database: Database
):
    SimpleWorker([NAME], connection=redis_connection).register_birth()
    card = WorkerCard("host", 1, program_version(), DeploymentStorage(database).name(), ())
    cards = [replace(card, pid=number, device="NVIDIA L4") for number in (1, 2)]
    for each in (*cards, replace(card, pid=3, device="CPU"), replace(card, pid=4)):
        values = {name: value for name, value in asdict(each).items() if value != ""}
        redis_connection.set(f"{PREFIX}host:{each.pid}", json.dumps(values))
    assert len(worker_cards(redis_connection)) == 4
    line = lines(check_workers(settings))[0]
    assert line.endswith("; they detect on CPU (1), NVIDIA L4 (2)")


def test_a_worker_of_another_queue_does_not_count(settings: Settings, redis_connection: Redis):
    SimpleWorker(["another"], connection=redis_connection).register_birth()
    assert lines(check_workers(settings))[0].startswith("problem  Worker")


def test_the_redis_of_serve_is_looked_for_where_serve_keeps_it(settings: Settings):
    line = only(check_redis(changed(settings, redis_url=None)))
    assert "problem  Redis: the Redis of `python -m backend serve` does not answer" in line


def test_a_web_process_with_another_model_is_reported(settings: Settings):
    def health(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        return as_json({"status": "UP", "model_version": "vgg19-0123456789"})

    with loopback_server(health) as web:
        line = only(check_web(changed(settings, port=web.port)))
    assert line.startswith("problem  Web process")
    assert "vgg19-0123456789" in line


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_another_server_on_the_port_is_reported(settings: Settings, body: bytes):
    with loopback_server(lambda request, handler: Answer(body=body)) as web:
        assert only(check_web(changed(settings, port=web.port))).startswith("problem  Web process")


def test_without_an_address_of_label_studio_the_rest_is_not_checked(settings: Settings):
    unnamed = changed(settings, label_studio_url=None)
    line = only(check_label_studio(unnamed))
    assert line.startswith("problem  Label Studio: expected the operator to say which")
    guarded = changed(unnamed, basic_auth_user="anna", basic_auth_pass=SecretStr("swordfish"))
    line = only(check_label_studio(guarded))
    assert line.startswith("note     Label Studio: LABEL_STUDIO_URL is not set")


def test_label_studio_that_does_not_answer_is_reported(settings: Settings):
    line = only(check_label_studio(changed(settings, label_studio_url="http://127.0.0.1:1")))
    assert line.startswith("problem  Label Studio: expected Label Studio to answer")


def test_a_missing_token_is_reported(settings: Settings):
    found = lines(check_label_studio(changed(settings, label_studio_api_key=None)))
    assert found[1].startswith("problem  Token: LABEL_STUDIO_API_KEY is not set")


def test_legacy_tokens_that_are_switched_off_are_reported(settings: Settings, studio: Studio):
    studio.token_refusal = f"Authentication token no longer valid: {LEGACY_OFF}"
    found = lines(check_label_studio(settings))
    assert found[1].startswith("problem  Token: ")
    assert "switched legacy tokens off" in found[1]
    assert "personal access token" in found[1]


def test_private_addresses_that_label_studio_blocks_are_reported(
    settings: Settings, studio: Studio
):
    studio.blocks_private_addresses = True
    found = lines(check_label_studio(settings))
    assert found[-2].startswith("problem  Projects: none is connected")
    assert "refuses to call http://127.0.0.1:9090 and http://127.0.0.1:9090/webhook" in found[-1]
    assert "ML_BLOCK_LOCAL_IP=false" in found[-1]
    assert "SSRF_PROTECTION_ENABLED=false" in found[-1]


def about_project(settings: Settings) -> list[str]:
    return [line for line in lines(check_label_studio(settings)) if "roject 3" in line]


def test_a_backend_is_known_by_its_version_whatever_its_address(settings: Settings, studio: Studio):
    studio.connect("http://keypoints.example")
    assert about_project(settings) == []
    studio.backends[0]["model_version"] = settings.model_version()
    assert about_project(settings)[0].startswith("ok       Project 3, Buses: connected")


def test_a_backend_that_label_studio_cannot_use_is_reported_without_its_password(
    settings: Settings, studio: Studio
):
    studio.connect("http://anna:swordfish@127.0.0.1:9090")
    studio.backends[0] |= {"state": "ER", "readable_state": "Error", "error_message": "401"}
    found = lines(check_label_studio(settings))
    assert "cannot use http://127.0.0.1:9090: Error, 401" in "\n".join(found)
    assert "swordfish" not in "\n".join(found)


def test_a_backend_behind_another_is_reported(settings: Settings, studio: Studio):
    first = {"id": 9, "title": "older", "url": "http://older.example", "model_version": "x"}
    studio.backends.append(first)
    studio.connect("http://127.0.0.1:9090")
    assert "asks only the first of its models, older" in about_project(settings)[0]


def test_suggestions_that_are_hidden_are_reported(settings: Settings, studio: Studio):
    studio.connect("http://127.0.0.1:9090")
    studio.projects[0]["show_collab_predictions"] = False
    assert "hides suggestions" in about_project(settings)[1]


def test_a_configuration_without_keypoints_is_reported(settings: Settings, studio: Studio):
    studio.connect("http://127.0.0.1:9090")
    studio.projects[0]["label_config"] = '<View><Image name="image" value="$image"/></View>'
    assert "<KeyPointLabels" in about_project(settings)[1]


def test_a_missing_webhook_is_reported(settings: Settings, studio: Studio):
    studio.connect("http://127.0.0.1:9090")
    studio.webhooks[0]["url"] = "http://another.example/webhook"
    found = about_project(settings)[-1]
    assert "does not exist" in found
    assert "python -m backend connect --project 3" in found


@pytest.mark.parametrize("name", ["is_active", "send_payload", "send_for_all_actions"])
def test_a_webhook_that_leaves_something_out_is_reported(
    settings: Settings, studio: Studio, name: str
):
    studio.connect("http://127.0.0.1:9090")
    studio.webhooks[0][name] = False
    found = about_project(settings)[-1]
    assert ("switched off" if name == "is_active" else "incomplete") in found
    assert "python -m backend connect --project 3" in found


def test_a_webhook_without_the_password_is_reported(settings: Settings, studio: Studio):
    studio.connect("http://127.0.0.1:9090")
    guarded = changed(settings, basic_auth_user="anna", basic_auth_pass=SecretStr("swordfish"))
    assert "carries no secret and no password" in about_project(guarded)[-1]
    database = Database(settings.database)
    database.migrate()
    database.close()
    studio.webhooks[0]["headers"] = {SECRET_HEADER: "made up"}
    assert "carries a secret that this backend does not know" in about_project(guarded)[-1]
    known = changed(guarded, webhook_secret=SecretStr("known-to-this-backend"))
    studio.webhooks[0]["headers"] = {SECRET_HEADER: "known-to-this-backend"}
    assert about_project(known)[-1].startswith("ok       Webhook of project 3")
    studio.webhooks[0]["headers"] = {"Authorization": "Basic YW5uYTpzd29yZGZpc2g="}
    assert about_project(guarded)[-1].startswith("ok       Webhook of project 3")
    studio.webhooks.clear()
    studio.backends.clear()
    studio.connect("http://anna:swordfish@127.0.0.1:9090")
    assert about_project(guarded)[-1].startswith("ok       Webhook of project 3")


def test_it_loads_no_torch():
    code = "import sys, backend.commands.doctor; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_projects_with_a_model_or_settings_of_their_own_are_listed(
    settings: Settings, database: Database
):
    projects = ProjectStorage(database)
    for uid in (UID, "4.1", "5.1"):
        projects.save_label_config(uid, CONFIG)
    assert lines(check_projects(settings)) == []
    projects.save_settings("4.1", ProjectSettings(threshold=0.4, thresholds={"bus": 0.5}))
    trainings = TrainingStorage(database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=True)
    missing, own = lines(check_projects(settings))
    assert missing.startswith("problem  Project 3: its model small-")
    assert "1.safetensors does not exist: set MODELS_DIR" in missing
    assert own == (
        "ok       Project 4: the model of the deployment; settings of its own: "
        '{"threshold": 0.4, "thresholds": {"bus": 0.5}}'
    )
    settings.models_folder.mkdir()
    (settings.models_folder / "1.safetensors").write_bytes(b"weights")
    line, _ = lines(check_projects(settings))
    assert line.startswith("ok       Project 3: model small-")
    assert line.endswith(", its own; settings of its own: none")


def test_keypoints_that_label_studios_own_exports_leave_out_are_noted(
    settings: Settings, database: Database
):
    boxes = (
        '<RectangleLabels name="b" toName="image"><Label value="bird"/></RectangleLabels></View>'
    )
    ProjectStorage(database).save_label_config(UID, CONFIG.replace("</View>", boxes))
    line = only(check_projects(settings))
    assert line.startswith("note     Project 3: Label Studio's own COCO and YOLO exports")
    assert "bus" in line and "model_index" in line


def test_a_project_says_how_far_its_learning_is(settings: Settings, database: Database):
    landmarks = CONFIG.replace('"bus"/>', '"nose"/><Label value="tail"/>')
    ProjectStorage(database).save_label_config(UID, landmarks)
    teach(database, 1, lesson(1))
    teach(database, 2, lesson(2))
    StepStorage(database, limit=10).adopt(UID, active_model(settings).version, KEY)
    extract(database)
    begins = only(check_projects(settings))
    assert begins.startswith("note     Project 3: Suggests no points yet: correct three images")
    assert begins.endswith("2 of 3 so far.")
    teach(database, 3, lesson(3))
    extract(database)
    assert only(check_projects(settings)) == (
        "ok       Project 3: Suggests named points, learnt from 3 corrected images. Suggestions "
        "are renewed at 5 images; 3 are learnt so far."
    )


def test_a_project_whose_id_was_reused_is_not_listed(settings: Settings, database: Database):
    projects = ProjectStorage(database)
    for uid, threshold in (("3.1795347724", 0.5), ("3.1795347725", 0.25), ("3.99", 0.75)):
        projects.save_label_config(uid, CONFIG)
        projects.save_settings(uid, ProjectSettings(threshold=threshold))
    assert '{"threshold": 0.25}' in only(check_projects(settings))


def test_settings_that_name_what_is_gone_are_a_problem(settings: Settings, database: Database):
    projects = ProjectStorage(database)
    projects.save_label_config(UID, CONFIG)
    projects.save_settings(UID, ProjectSettings(thresholds={"tram": 0.5}, model="small-0"))
    label, model, _ = lines(check_projects(settings))
    assert label.startswith("problem  Project 3: Extra params: expected thresholds to name")
    assert "('bus'), got 'tram'; change them under Settings > Model > Edit" in label
    assert "got 'small-0'" in model


def test_without_a_database_there_are_no_projects(settings: Settings, tmp_path: Path):
    assert lines(check_projects(changed(settings, data_dir=tmp_path / "none"))) == []


def test_extra_params_that_label_studio_holds_and_nobody_can_use_are_a_problem(
    settings: Settings, studio: Studio
):
    studio.connect(f"http://127.0.0.1:{settings.port}")
    studio.backends[0]["extra_params"] = '{"treshold": 0.4}'
    found = [line for line in lines(check_label_studio(settings)) if "treshold" in line]
    assert len(found) == 1
    assert found[0].startswith("problem  Project 3, Buses: Extra params: unknown key 'treshold'")
