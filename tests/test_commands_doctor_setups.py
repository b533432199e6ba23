"""Deployments that are broken in one way each, for real, and what `doctor` says about them.

The table of docs/troubleshooting.md has a row for each.
"""

import base64
import functools
import json
import os
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from conftest import free_port, redis_executable, wait_until
from label_studio_fake import TOKEN, UID
from loopback_server import Answer, LoopbackServer, Request, as_json, loopback_server
from migrating import downgrade
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from rq import SimpleWorker
from serving import ROOT
from small_weights import save_small_network
from sqlalchemy import text
from test_commands_doctor import CONFIG, LEGACY_OFF, Studio, changed
from test_training_registry import OUTCOME, new_model

from backend.commands import (
    doctor_clock,
    doctor_files,
    doctor_label_studio,
    doctor_web,
)
from backend.commands.doctor import check_all, results
from backend.commands.doctor_results import CheckResult
from backend.database import connection as connection_module
from backend.database.connection import Database, now
from backend.labelstudio.projects import ProjectStorage
from backend.settings import Settings
from backend.suggestions.queue import NAME
from backend.training.queue import TRAINING_QUEUE
from backend.training.records import TrainingOptions
from backend.training.registry import ModelRegistry
from backend.training.storage import TrainingStorage
from backend.workers import cards

DOCUMENT = ROOT / "docs" / "troubleshooting.md"
TABLE: list[tuple[str, str]] = []


@dataclass
class Deployment:
    """A deployment without fault, to be broken; `settings` are those that doctor reads."""

    settings: Settings
    studio: Studio
    database: Database
    redis: Redis
    folder: Path
    stack: ExitStack = field(repr=False)

    def change(self, **values: Any) -> None:
        """Change some settings."""
        self.settings = changed(self.settings, **values)

    def found(self) -> list[CheckResult]:
        """What doctor finds, apart from what is right."""
        return [each for each in results(self.settings) if each.kind != "ok"]

    @property
    def file(self) -> Path:
        """The file of the database."""
        return self.folder / "backend.sqlite3"

    def announce(self, **values: Any) -> None:
        """Let a worker announce itself, with other settings or another database."""
        database = values.pop("database", self.database)
        registry = ModelRegistry(changed(self.settings, **values), database)
        before = len(cards.worker_cards(self.redis))
        self.stack.enter_context(cards.announced(self.redis, database, registry, "CPU"))
        wait_until(lambda: len(cards.worker_cards(self.redis)) > before)


def setup(
    title: str, says: str, kind: str = "problem", follows: str | None = None
) -> Callable[[Any], Any]:
    """Test that doctor says this of a set-up, and nothing else that has to be changed.

    Args:
        follows: what it also says, because it follows.
    """
    TABLE.append((title, says))

    def decorate(break_it: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(break_it)
        def test(deployment: Deployment, *args: Any, **values: Any) -> None:
            break_it(deployment, *args, **values)
            found = deployment.found()
            said = [each for each in found if says in each.text]
            assert [each.kind for each in said] == [kind], "\n".join(map(str, found))
            others = [each for each in found if each.is_problem and each not in said]
            if follows:
                others = [each for each in others if follows not in each.text]
            assert others == [], "\n".join(map(str, others))
            assert check_all(deployment.settings) == (1 if kind == "problem" else 0)

        return test

    return decorate


@contextmanager
def own_redis(folder: Path, *options: str, password: str | None = None) -> Iterator[str]:
    """Run a real Redis with these options; its address, without a password."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    command = [redis_executable(), "--port", str(port), "--bind", "127.0.0.1"]
    secret = ["--requirepass", password] if password else []
    process = subprocess.Popen(
        [*command, "--dir", str(folder), *secret, *options], stdout=subprocess.DEVNULL
    )
    url = f"redis://127.0.0.1:{port}/0"

    def listens() -> bool:
        try:
            with Redis.from_url(url) as client:
                return bool(client.ping())
        except RedisError as error:
            return isinstance(error, AuthenticationError)

    try:
        wait_until(listens)
        yield url
    finally:
        process.kill()  # one that cannot save does not end otherwise
        process.wait()


def register_workers(connection: Redis) -> None:
    for name in (NAME, TRAINING_QUEUE):
        SimpleWorker([name], connection=connection).register_birth()


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def deployment(
    server: LoopbackServer, studio: Studio, database: Database, tmp_path: Path
) -> Iterator[Deployment]:
    """A deployment without fault: all of it runs, on a Redis of its own that keeps its data."""
    with ExitStack() as stack:
        weights = save_small_network(tmp_path / "weights.safetensors")
        url = stack.enter_context(own_redis(tmp_path / "own-redis", "--appendonly", "yes"))
        settings = Settings(
            label_studio_url=server.url,
            label_studio_api_key=SecretStr(TOKEN),
            model_weights=str(weights),
            redis_url=url,
            data_dir=tmp_path,
        )

        def health(request: Request, _: BaseHTTPRequestHandler) -> Answer:
            return as_json({"status": "UP", "model_version": settings.model_version()})

        web = stack.enter_context(loopback_server(health))
        settings = changed(settings, port=web.port)
        studio.connect(web.url)
        connection = stack.enter_context(Redis.from_url(url))
        register_workers(connection)
        yield Deployment(settings, studio, database, connection, tmp_path, stack)


def test_a_deployment_without_fault_has_none(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.announce()
    assert deployment.found() == []
    assert check_all(deployment.settings, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["problems"] == 0
    assert {each["kind"] for each in answer["results"]} == {"ok"}


# The folder


@setup("`DATA_DIR` cannot be written", "is not writable")
def test_data_dir_cannot_be_written(deployment: Deployment) -> None:
    (deployment.folder / "file").touch()
    url = f"sqlite:///{deployment.file}"
    deployment.change(data_dir=deployment.folder / "file" / "data", database_url=url)
    deployment.change(models_dir=deployment.folder / "models")


@setup("The disk is nearly full", "MiB are expected: free space")
def test_disk_nearly_full(deployment: Deployment) -> None:
    place = deployment.folder / "small-disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this user may mount nothing")
    deployment.stack.callback(subprocess.run, ["umount", str(place)], check=True)
    deployment.change(models_dir=place)


@setup("`DATA_DIR` is on a network share", "is on a network share (nfs4)")
def test_data_dir_on_a_share(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = deployment.folder / "mounts"
    share = str(deployment.folder).replace(" ", "\\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nnas:/export {share} nfs4 rw,relatime 0 0\n")
    monkeypatch.setattr(doctor_files, "MOUNTS", mounts)


# The model


@setup("`MODEL_WEIGHTS` is a `.pth` file that holds something else", "and is not loaded")
def test_garbage_pth(deployment: Deployment) -> None:
    give_weights(deployment, "garbage.pth", os.urandom(5000))


@setup("`MODEL_WEIGHTS` is a damaged `.safetensors` file", "is not a readable weights file")
def test_garbage_safetensors(deployment: Deployment) -> None:
    give_weights(deployment, "garbage.safetensors", os.urandom(5000))


def give_weights(deployment: Deployment, name: str, content: bytes) -> None:
    path = deployment.folder / name
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps({"arch": "small", "classes": ["bus", "van"]}))
    use_weights(deployment, path)


def use_weights(deployment: Deployment, path: Path) -> None:
    """Use a weights file, also in the web process."""
    deployment.change(model_weights=str(path))
    version = deployment.settings.model_version()

    def health(request: Request, _: BaseHTTPRequestHandler) -> Answer:
        return as_json({"status": "UP", "model_version": version})

    web = deployment.stack.enter_context(loopback_server(health))
    deployment.change(port=web.port)
    deployment.studio.backends.clear()
    deployment.studio.webhooks.clear()
    deployment.studio.connect(web.url)


@setup("`MODEL_WEIGHTS` are those of another architecture", "do not fit this network")
def test_weights_of_another_architecture(deployment: Deployment) -> None:
    path = save_small_network(deployment.folder / "other.safetensors")
    facts = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(facts | {"arch": "squeezenet1_1"}))
    use_weights(deployment, path)


@setup("The weights of a trained model are missing", "does not exist: set MODELS_DIR")
def test_trained_weights_missing(deployment: Deployment) -> None:
    train(deployment)


def train(deployment: Deployment) -> None:
    """Let a project have a trained model of its own."""
    ProjectStorage(deployment.database).save_label_config(UID, CONFIG)
    trainings = TrainingStorage(deployment.database)
    training, _ = trainings.request(UID, TrainingOptions())
    trainings.succeed(training.id, new_model(1), OUTCOME, use=True)


@setup("One worker lacks the weights of a trained model", "lacks the weights of small-")
def test_weights_missing_on_one_worker(deployment: Deployment) -> None:
    train(deployment)
    deployment.settings.models_folder.mkdir()
    save_small_network(deployment.settings.models_folder / "1.safetensors")
    deployment.announce(models_dir=deployment.folder / "elsewhere")


# The database


@setup("The database file is something else", "it is damaged, or not a database")
def test_database_is_something_else(deployment: Deployment) -> None:
    deployment.database.close()
    deployment.file.write_bytes(b"garbage" * 2000)


@setup("Pages of the database are damaged", "restore a backup with")
def test_database_is_damaged(deployment: Deployment) -> None:
    deployment.database.close()
    with deployment.file.open("r+b") as file:
        for place in range(8192, deployment.file.stat().st_size, 3 * 4096):
            file.seek(place)
            file.write(b"\xa5" * 4096)


@setup("Another program keeps the database locked", "another program keeps it locked")
def test_database_locked(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "LOCK_WAIT", 0.05)
    holder = deployment.stack.enter_context(
        closing(sqlite3.connect(deployment.file, isolation_level=None))
    )
    holder.execute("BEGIN IMMEDIATE")


@setup("PostgreSQL only reads", "PostgreSQL only reads")
def test_postgresql_only_reads(deployment: Deployment, postgres_database: Database) -> None:
    use_postgresql(deployment, postgres_database)
    with postgres_database.engine.connect() as connection:
        name = postgres_database.engine.url.database
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
        connection.commit()
    postgres_database.close()


def use_postgresql(deployment: Deployment, database: Database) -> None:
    deployment.change(database_url=database.engine.url.render_as_string(hide_password=False))


@setup("PostgreSQL does not run, or has another address", "it does not answer")
def test_postgresql_does_not_run(deployment: Deployment) -> None:
    deployment.change(database_url="postgresql://anna:swordfish@127.0.0.1:1/backend")


@setup("PostgreSQL has no such database", "the server has no such database or user")
def test_postgresql_has_no_such_database(deployment: Deployment, postgres_server: str) -> None:
    deployment.change(database_url=f"{postgres_server}/nowhere")


@setup("The database is behind this version", "which updates them")
def test_database_is_behind(deployment: Deployment) -> None:
    downgrade(deployment.database, "0013")


@setup("A newer version has used the database", "a newer version of the program has used it")
def test_database_is_newer(deployment: Deployment) -> None:
    with deployment.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))


# Redis


@setup("Redis does not run", "does not answer (")
def test_redis_does_not_run(deployment: Deployment) -> None:
    deployment.change(redis_url="redis://127.0.0.1:1/0")


@setup("Redis wants a password", "wants a password")
def test_redis_wants_a_password(deployment: Deployment) -> None:
    use_redis(deployment, password="swordfish")


@setup("`REDIS_URL` has a wrong password", "refuses this user or password")
def test_redis_password_is_wrong(deployment: Deployment) -> None:
    use_redis(deployment, password="swordfish")
    deployment.change(redis_url=deployment.settings.redis_url.replace("//", "//:wrong@"))


@setup("Another program answers at `REDIS_URL`", "is the address of something else")
def test_redis_is_another_program(deployment: Deployment, server: LoopbackServer) -> None:
    deployment.change(redis_url=f"redis://127.0.0.1:{server.port}/0")


@setup("Redis cannot save to its disk (MISCONF)", "because it cannot save to its disk (MISCONF)")
def test_redis_misconf(deployment: Deployment) -> None:
    client = use_redis(deployment, "--save", "3600", "1", "--appendonly", "no")
    shutil.rmtree(deployment.folder / "other-redis")
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")


@setup("Redis evicts keys when its memory is full", "(maxmemory-policy allkeys-lru)")
def test_redis_evicts(deployment: Deployment) -> None:
    more = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "yes")
    use_redis(deployment, *more)


@setup("Redis is full", "because its memory is full")
def test_redis_is_full(deployment: Deployment) -> None:
    client = use_redis(deployment, "--appendonly", "yes")
    client.config_set("maxmemory", 1)


@setup("Redis keeps nothing on disk", "saves nothing to disk", kind="note")
def test_redis_without_persistence(deployment: Deployment) -> None:
    use_redis(deployment, "--save", "", "--appendonly", "no")


@setup("`REDIS_URL` names a replica", "is a replica, which accepts no writes")
def test_redis_is_a_replica(deployment: Deployment) -> None:
    client = use_redis(deployment, "--appendonly", "yes")
    client.replicaof("127.0.0.1", 1)


def use_redis(deployment: Deployment, *options: str, password: str | None = None) -> Redis:
    """Use another Redis, with workers."""
    running = own_redis(deployment.folder / "other-redis", *options, password=password)
    url = deployment.stack.enter_context(running)
    deployment.change(redis_url=url)
    client = deployment.stack.enter_context(Redis.from_url(url, password=password))
    register_workers(client)
    return client


# Workers


@setup("No worker runs", "none is running: start `python -m backend serve`")
def test_no_worker(deployment: Deployment) -> None:
    deployment.redis.flushall()


@setup("A worker runs another version of the program", "runs another version of the program")
def test_worker_of_another_version(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "program_version", lambda: "0123456789abcdef")
    deployment.announce()


@setup("Two deployments share one Redis", "uses another database, so that each does")
def test_two_deployments_on_one_queue(deployment: Deployment) -> None:
    other = Database(f"sqlite:///{deployment.folder / 'other.sqlite3'}")
    other.migrate()
    deployment.stack.callback(other.close)
    deployment.announce(database=other)


# The web process


@setup("The web process does not run", "no answer from http://127.0.0.1:1/health")
def test_web_does_not_run(deployment: Deployment) -> None:
    move_web(deployment, 1)


def move_web(deployment: Deployment, port: int) -> None:
    deployment.change(port=port)
    deployment.studio.backends.clear()
    deployment.studio.webhooks.clear()
    deployment.studio.connect(f"http://127.0.0.1:{port}")


@setup("Another program has the port", "another program (Server: ")
def test_another_program_has_the_port(deployment: Deployment) -> None:
    page = Answer(body=b"<html>", headers={"Content-Type": "text/html"})
    web = deployment.stack.enter_context(loopback_server(lambda request, handler: page))
    move_web(deployment, web.port)


@setup("The web process hangs", "gave no answer within")
def test_web_hangs(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_web, "TIMEOUT_SECONDS", 0.2)
    web = deployment.stack.enter_context(loopback_server(hang))
    move_web(deployment, web.port)


def hang(request: Request, handler: BaseHTTPRequestHandler) -> Answer:
    time.sleep(1)
    return Answer()


@setup("The web process has other settings of the model", "but these settings give")
def test_web_with_another_model(deployment: Deployment) -> None:
    other = as_json({"status": "UP", "model_version": "vgg19-0123456789"})
    web = deployment.stack.enter_context(loopback_server(lambda request, handler: other))
    move_web(deployment, web.port)


# Label Studio


@setup("Label Studio does not run", "is it running, and is LABEL_STUDIO_URL its address")
def test_label_studio_does_not_run(deployment: Deployment) -> None:
    deployment.change(label_studio_url="http://127.0.0.1:1")


@setup("`http_proxy` names a proxy that does not run", "expected the proxy of http_proxy")
def test_dead_proxy(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")


def serve_instead(deployment: Deployment, answer: Answer, path: str = "") -> None:
    """Let something else answer every request to Label Studio."""
    other = deployment.stack.enter_context(loopback_server(lambda request, handler: answer))
    deployment.change(label_studio_url=other.url + path)


@setup("Label Studio redirects from http to https", "set LABEL_STUDIO_URL to the final address")
def test_redirect_to_https(deployment: Deployment) -> None:
    to = {"Location": "https://label-studio.example/health"}
    serve_instead(deployment, Answer(status=301, headers=to))


@setup("`LABEL_STUDIO_URL` has a path", "has the path /projects/3, but Label Studio answers")
def test_address_with_a_path(deployment: Deployment) -> None:
    healthy = as_json({"status": "UP"})
    missing = Answer(404, b"<html>", {"Content-Type": "text/html"})

    def answer(request: Request, handler: BaseHTTPRequestHandler) -> Answer:
        return healthy if request.path == "/health" else missing

    other = deployment.stack.enter_context(loopback_server(answer))
    deployment.change(label_studio_url=f"{other.url}/projects/3")


@setup("A log-in page stands before Label Studio", "got a redirect to a log-in page")
def test_login_by_redirect(deployment: Deployment) -> None:
    to = {"Location": "https://sso.example/login?next=/health"}
    serve_instead(deployment, Answer(status=302, headers=to))


@setup("A page is served in place of Label Studio", "and no log-in page before it?")
def test_login_page(deployment: Deployment) -> None:
    serve_instead(deployment, Answer(body=b"<html>Log in", headers={"Content-Type": "text/html"}))


@setup("A proxy runs before Label Studio, which does not", "a proxy in front of it")
def test_bad_gateway(deployment: Deployment) -> None:
    serve_instead(deployment, Answer(502, b"<html>", {"Content-Type": "text/html"}))


@setup("Label Studio hangs", "but it took too long")
def test_label_studio_hangs(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_label_studio, "TIMEOUT_SECONDS", 0.2)
    other = deployment.stack.enter_context(loopback_server(hang))
    deployment.change(label_studio_url=other.url)


@setup("`LABEL_STUDIO_URL` is another service with JSON", "is this the address of a Label Studio")
def test_another_service(deployment: Deployment) -> None:
    serve_instead(deployment, as_json({"results": {"status": ["UP"]}, "next": 5}))


@pytest.mark.parametrize("value", [None, [], {}, 3, "UP", [[]], {"results": [3]}, {"results": {}}])
def test_no_other_json_ends_doctor(deployment: Deployment, value: object) -> None:
    serve_instead(deployment, as_json(value))
    assert not any(each.subject == "Doctor" for each in deployment.found())


@setup("The clocks of two machines differ", "minutes behind Label Studio")
def test_clocks_differ(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock cannot be set here; the other machine's names another time."""
    served = deployment.studio.handle

    def ahead(request: Request, handler: BaseHTTPRequestHandler) -> Answer:
        answer = served(request, handler)
        handler.date_time_string = lambda timestamp=None: "Fri, 01 Jan 2100 00:00:00 GMT"  # type: ignore[method-assign, assignment]
        return answer

    other = deployment.stack.enter_context(loopback_server(ahead))
    deployment.change(label_studio_url=other.url)


def test_the_clock_of_the_database_is_compared(postgres_database: Database) -> None:
    from backend.upkeep.storage import DeploymentStorage

    moment = DeploymentStorage(postgres_database).clock()
    assert moment is not None
    assert list(doctor_clock.check_clock("the server of the database", moment)) == []
    ago = now().replace(year=2020)
    [found] = doctor_clock.check_clock("the server of the database", ago)
    assert "ahead of the server of the database" in found.text


# The token


def use_token(deployment: Deployment, token: str) -> None:
    deployment.change(label_studio_api_key=SecretStr(token))


def jwt(**facts: object) -> str:
    """A token of three parts with these claims, as Label Studio makes them."""
    parts = [{"alg": "HS256", "typ": "JWT"}, facts]
    encoded = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in parts]
    return ".".join(each.decode().rstrip("=") for each in [*encoded, b"signature"])


@setup("No token is set", "LABEL_STUDIO_API_KEY is not set")
def test_no_token(deployment: Deployment) -> None:
    deployment.change(label_studio_api_key=None)


@setup("The token begins with `Token` or `Bearer`", "begins with a word of the header")
def test_token_with_a_word(deployment: Deployment) -> None:
    use_token(deployment, f"Token {TOKEN}")


@setup("The token is an access token", "is the access token that the API hands out")
def test_access_token(deployment: Deployment) -> None:
    use_token(deployment, jwt(token_type="access", exp=4_000_000_000, user_id=1))


@setup("The personal access token has expired", "has expired on 2020-09-13")
def test_expired_token(deployment: Deployment) -> None:
    use_token(deployment, jwt(token_type="refresh", exp=1_600_000_000, user_id=1))


@setup("The token was cut off, or is something else", "looks like neither kind of token")
def test_cut_token(deployment: Deployment) -> None:
    use_token(deployment, TOKEN[:-1])


@setup("The organization has switched legacy tokens off", "has switched legacy tokens off")
def test_legacy_tokens_off(deployment: Deployment) -> None:
    deployment.studio.token_refusal = f"Authentication token no longer valid: {LEGACY_OFF}"


@setup("The token is of another Label Studio", "Invalid token; set LABEL_STUDIO_API_KEY")
def test_unknown_token(deployment: Deployment) -> None:
    deployment.studio.token_refusal = "Invalid token."


@setup("The personal access token was revoked", "it was revoked or belongs to another")
def test_revoked_token(deployment: Deployment) -> None:
    use_token(deployment, jwt(token_type="refresh", exp=4_000_000_000, user_id=1))
    deployment.studio.token_refusal = "Token is invalid"


def store_token(deployment: Deployment) -> None:
    """Store the token that /setup brings for a project."""
    ProjectStorage(deployment.database).save_connection(
        UID, hostname="http://studio", access_token=TOKEN, label_config=CONFIG
    )


@setup("The database holds tokens that nothing uses", "leave no use for", kind="note")
def test_unused_tokens(deployment: Deployment) -> None:
    store_token(deployment)


@setup(
    "Label Studio has renewed the token that it sent",
    "refuses the token that it sent for project 3, perhaps because it was renewed",
    follows="LABEL_STUDIO_API_KEY is not set",
)
def test_renewed_token(deployment: Deployment) -> None:
    store_token(deployment)
    deployment.change(label_studio_api_key=None)
    deployment.studio.token_refusal = "Invalid token."


def test_a_stored_token_that_is_accepted_passes(deployment: Deployment) -> None:
    store_token(deployment)
    deployment.change(label_studio_api_key=None)
    assert [each.subject for each in deployment.found()] == ["Token"]


# Projects


@setup("No project is connected", "none is connected to this backend")
def test_no_project_connected(deployment: Deployment) -> None:
    deployment.studio.backends.clear()


@setup(
    "Label Studio refuses private addresses",
    "because this is a private address",
    follows="none is connected",
)
def test_blocked_addresses(deployment: Deployment) -> None:
    deployment.studio.blocks_private_addresses = True
    deployment.studio.backends.clear()


@setup("A project asks another model first", "asks only the first of its models")
def test_behind_another_model(deployment: Deployment) -> None:
    first = {"id": 9, "title": "older", "url": "http://older.example", "model_version": "x"}
    deployment.studio.backends.insert(0, first)


@setup("A project hides suggestions", "hides suggestions from annotators")
def test_hidden_suggestions(deployment: Deployment) -> None:
    deployment.studio.projects[0]["show_collab_predictions"] = False


@setup("A project has no control for keypoints", "<KeyPointLabels")
def test_no_keypoint_control(deployment: Deployment) -> None:
    deployment.studio.projects[0]["label_config"] = '<View><Image name="i" value="$image"/></View>'


@setup("A further image cannot be used", "the image 'pages' gets no suggestions")
def test_further_image_without_suggestions(deployment: Deployment) -> None:
    pages = '<Image name="pages" valueList="$pages"/>'
    points = '<KeyPointLabels name="more" toName="pages"><Label value="bus"/></KeyPointLabels>'
    config = CONFIG.replace("</View>", f"{pages}{points}</View>")
    deployment.studio.projects[0]["label_config"] = config


@setup("A project has no labels", 'expected at least one <Label value="..."/>')
def test_no_labels(deployment: Deployment) -> None:
    config = CONFIG.replace('<Label value="bus"/>', "")
    deployment.studio.projects[0]["label_config"] = config


@setup("The extra params of a project cannot be used", "unknown key 'treshold'")
def test_wrong_extra_params(deployment: Deployment) -> None:
    deployment.studio.backends[0]["extra_params"] = '{"treshold": 0.4}'


@setup("A project has no webhook", "does not exist, so corrections would be lost")
def test_no_webhook(deployment: Deployment) -> None:
    deployment.studio.webhooks.clear()


@setup("A webhook is switched off or incomplete", "is switched off, so corrections would be lost")
def test_webhook_off(deployment: Deployment) -> None:
    deployment.studio.webhooks[0]["is_active"] = False


@setup("A webhook has no password", "carries no secret and no password")
def test_webhook_without_password(deployment: Deployment) -> None:
    deployment.change(basic_auth_user="anna", basic_auth_pass=SecretStr("swordfish"))


@setup("A webhook has a wrong password", "carries another user or password than")
def test_webhook_with_wrong_password(deployment: Deployment) -> None:
    deployment.change(basic_auth_user="anna", basic_auth_pass=SecretStr("swordfish"))
    encoded = base64.b64encode(b"anna:herring").decode()
    deployment.studio.webhooks[0]["headers"] = {"Authorization": f"Basic {encoded}"}


def test_a_webhook_with_the_right_password_passes(deployment: Deployment) -> None:
    deployment.change(basic_auth_user="anna", basic_auth_pass=SecretStr("swordfish"))
    encoded = base64.b64encode(b"anna:swordfish").decode()
    deployment.studio.webhooks[0]["headers"] = {"Authorization": f"Basic {encoded}"}
    assert deployment.found() == []


def test_the_document_has_a_row_for_every_set_up() -> None:
    rows = "\n".join(f"| {title} | {as_cell(says)} |" for title, says in TABLE)
    assert rows in DOCUMENT.read_text(), f"docs/troubleshooting.md needs these rows:\n{rows}"


def as_cell(says: str) -> str:
    """The words as code, which may hold backticks itself."""
    fence = "``" if "`" in says else "`"
    return f"{fence}… {re.sub(r'[|]', ' ', says)} …{fence}"


def test_there_are_more_set_ups_than_thirty() -> None:
    assert len({title for title, _ in TABLE}) == len(TABLE) >= 30
