"""No container engine runs here: what can be checked of docker-compose.yml without one."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from conftest import free_port, redis_executable, wait_until

from backend.__main__ import main
from backend.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = ("web", "worker", "trainer")

SECRETS = {
    "POSTGRES_PASSWORD": "postgres-secret",
    "REDIS_PASSWORD": "redis-secret",
    "LABEL_STUDIO_TOKEN": "0123456789abcdef0123456789abcdef01234567",
    "LABEL_STUDIO_PASSWORD": "studio-secret",
    "BASIC_AUTH_PASS": "basic-secret",
}

# Set in the Dockerfile for Python and torch, which read them themselves.
FOR_LIBRARIES = {"PATH", "PYTHONUNBUFFERED", "TORCH_HOME", "MPLCONFIGDIR"}


def is_command(arguments: list[str]) -> bool:
    """Whether the backend has this command with these options; `--help` keeps it from running."""
    return main([*arguments, "--help"]) == 0


def settings_names() -> set[str]:
    return {name.upper() for name in Settings.model_fields}


def docker_compose(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("no docker-compose on this machine: install Debian's to run this as well")
    return subprocess.run(
        [program, "config", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
    )


def test_docker_compose_accepts_the_file_once_the_secrets_are_set():
    checked = docker_compose("--quiet", **SECRETS)
    assert checked.returncode == 0, checked.stderr


def test_a_secret_that_is_not_set_is_named():
    del (others := dict(SECRETS))["BASIC_AUTH_PASS"]
    checked = docker_compose("--quiet", **others)
    assert checked.returncode != 0
    assert "BASIC_AUTH_PASS" in checked.stderr
    assert "set it in .env" in checked.stderr


def test_no_secret_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRETS:
        assert set(re.findall(rf"\${{{name}(.*?)}}", text)) == {":?set it in .env"}


@pytest.mark.parametrize("service", OURS)
def test_every_variable_that_is_given_to_the_backend_is_a_setting_of_it(service):
    assert set(COMPOSE["services"][service]["environment"]) <= settings_names()


def test_every_variable_of_the_image_is_a_setting_or_a_librarys():
    _, _, block = DOCKERFILE.partition("\nENV ")
    names = set(re.findall(r"(\w+)=", block.partition("\nUSER")[0]))
    assert names
    assert names <= settings_names() | FOR_LIBRARIES


def test_the_backends_addresses_are_those_of_the_services():
    environment = COMPOSE["services"]["web"]["environment"]
    for name in ("REDIS_URL", "DATABASE_URL", "LABEL_STUDIO_URL"):
        host = re.search(r"(?:@|//)([a-z-]+)(?::\d+)?(?:/|$)", environment[name])
        assert host is not None
        assert host[1] in COMPOSE["services"], name


def test_web_worker_and_trainer_read_the_same_settings():
    web, *others = (COMPOSE["services"][service] for service in OURS)
    assert [other["environment"] for other in others] == [web["environment"]] * 2


def test_trained_models_lie_in_a_volume_that_all_of_them_mount():
    folder = COMPOSE["services"]["trainer"]["environment"]["MODELS_DIR"]
    for service in OURS:
        assert any(
            folder.startswith(mount.partition(":")[2])
            for mount in COMPOSE["services"][service]["volumes"]
        )


@pytest.mark.parametrize("service", OURS)
def test_the_command_of_a_service_is_one_of_the_backends(service):
    assert 'ENTRYPOINT ["python", "-m", "backend"]' in DOCKERFILE
    assert is_command(COMPOSE["services"][service]["command"])


def test_a_command_or_an_option_that_does_not_exist_is_found_out(capsys):
    assert is_command(["worker", "--check"])
    assert not is_command(["worker", "--chek"])
    assert not is_command(["wroker"])


def test_the_image_runs_the_backend_and_not_as_root():
    command = re.search(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    assert command is not None
    assert is_command(yaml.safe_load(command[1]))
    assert re.search(r"^USER backend$", DOCKERFILE, re.MULTILINE)


def test_everything_that_the_image_copies_is_sent_to_the_engine():
    sent = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copies = [name for line in lines for name in line.split()]
    assert copies
    for name in copies:
        assert name in sent
        assert (ROOT / name).exists()


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_service_says_whether_it_is_healthy(service):
    assert COMPOSE["services"][service]["healthcheck"]["test"]


@pytest.mark.parametrize("service", OURS)
def test_the_health_check_of_the_backend_is_python_that_compiles(service):
    program, *arguments = COMPOSE["services"][service]["healthcheck"]["test"][1:]
    assert program == "python"
    if arguments[0] == "-c":
        compile(arguments[1], "healthcheck", "exec")
    else:
        assert arguments[:2] == ["-m", "backend"]
        assert is_command(arguments[2:])


def test_label_studio_is_the_version_of_the_demonstration_and_may_reach_the_backend():
    pinned = re.search(r"label-studio==(\S+)", (ROOT / "requirements-label-studio.txt").read_text())
    assert pinned is not None
    studio = COMPOSE["services"]["label-studio"]
    assert studio["image"] == f"heartexlabs/label-studio:{pinned[1]}"
    assert studio["environment"]["ML_BLOCK_LOCAL_IP"] == "false"
    assert studio["environment"]["SSRF_PROTECTION_ENABLED"] == "false"


def test_every_image_has_a_tag():
    for service in COMPOSE["services"].values():
        assert "build" in service or re.fullmatch(r"[a-z/-]+:\d[\w.-]*", service["image"])


def test_every_volume_that_is_mounted_is_declared_or_a_file_of_ours():
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file()
            else:
                assert source in COMPOSE["volumes"]


def test_label_studio_uses_the_database_that_is_made_for_it():
    made = (ROOT / "deploy" / "label-studio-database.sql").read_text()
    name = COMPOSE["services"]["label-studio"]["environment"]["POSTGRE_NAME"]
    assert f"CREATE DATABASE {name};" in made


def test_the_image_holds_the_backend_and_the_model_alone():
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = [name for line in lines for name in line.split()]
    assert sorted(copied) == ["backend", "model", "requirements.lock", "requirements.txt"]
    sent = (ROOT / ".dockerignore").read_text().split()
    assert sent[0] == "*"
    assert {line.removeprefix("!") for line in sent if line.startswith("!")} == set(copied)


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_container_is_without_root_and_without_privileges(service):
    container = COMPOSE["services"][service]
    assert container["cap_drop"] == ["ALL"] and "cap_add" not in container
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in container
    assert int(container["user"].partition(":")[0]) > 0
    assert container["pids_limit"] > 0


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_container_but_label_studio_s_is_read_only_with_a_place_for_passing_files(service):
    container = COMPOSE["services"][service]
    if service == "label-studio":
        assert container["read_only"] is False
        return
    assert container["read_only"] is True
    assert any(place.startswith("/tmp:") for place in container["tmpfs"])


def test_the_user_of_the_image_is_that_of_the_containers():
    [uid] = re.findall(r"--uid (\d+) backend", DOCKERFILE)
    for service in OURS:
        assert COMPOSE["services"][service]["user"] == f"{uid}:{uid}"


def test_the_stores_are_on_a_network_without_the_outside_and_publish_no_port():
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    for store in ("redis", "postgres"):
        assert COMPOSE["services"][store]["networks"] == ["stores"]
    published = {name for name, each in COMPOSE["services"].items() if "ports" in each}
    assert published == {"label-studio"}
    [port] = COMPOSE["services"]["label-studio"]["ports"]
    assert port.startswith("127.0.0.1:")
    for service in (*OURS, "label-studio"):
        assert {"stores", "studio"} == set(COMPOSE["services"][service]["networks"])


def test_redis_and_postgresql_ask_for_passwords():
    environment = COMPOSE["services"]["web"]["environment"]
    assert ":${REDIS_PASSWORD:?" in environment["REDIS_URL"]
    assert ":${POSTGRES_PASSWORD:?" in environment["DATABASE_URL"]
    made = COMPOSE["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"]
    assert made.split() == ["--auth-host=scram-sha-256", "--auth-local=scram-sha-256"]


def test_what_redis_is_started_with_is_what_a_real_redis_accepts(tmp_path):
    """The command of the service, run here by a real Redis on another port."""
    [shell, option, script] = COMPOSE["services"]["redis"]["command"]
    config = tmp_path / "redis.conf"
    script = script.replace("$$", "$").replace("/tmp/redis.conf", str(config))
    script = script.replace("dir /data", f"dir {tmp_path}").replace(
        "redis-server", f"{redis_executable()} --port {(port := free_port())} --bind 127.0.0.1 #", 1
    )
    # The name of the file comes first: what stands behind it are options.
    script = re.sub(r"(exec \S+)(.*) # (.*)$", r"\1 \3\2", script)
    with subprocess.Popen(
        [shell, option, script],
        env={"PATH": os.environ["PATH"], "REDIS_PASSWORD": "redis-secret"},
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            with redis.Redis(port=port, password="redis-secret") as known:
                wait_until(lambda: answers(known))
                assert known.config_get("appendonly") == {"appendonly": "yes"}
            with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
                stranger.ping()
            assert config.stat().st_mode & 0o077 == 0
            assert "redis-secret" not in Path(f"/proc/{server.pid}/cmdline").read_text()
        finally:
            server.terminate()


def answers(connection: redis.Redis) -> bool:
    try:
        return bool(connection.ping())
    except redis.ConnectionError:
        return False
