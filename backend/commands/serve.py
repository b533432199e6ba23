"""`python -m backend serve`: web process, workers and, if needed, a Redis, in the foreground."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import Popen

import click
import requests

from backend.contract.prepare import prepare_contract
from backend.local import embedded_redis, machine
from backend.local.listening import listen
from backend.local.processes import spawn
from backend.local.supervisor import ChildRefused, Supervisor
from backend.logs import set_up_logging
from backend.private_files import create_files_privately
from backend.settings import Settings, load_settings
from backend.web.server import web_command

logger = logging.getLogger(__name__)

_CHECK_SECONDS = 0.05

# A worker returns its unfinished job to the queue at once, or after one batch of the occlusion map.
_GRACE_SECONDS = 8.0

# Wildcard addresses to listen on → the loopback address that reaches them.
_WILDCARD_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class LabelStudioMl:
    """A server of `label-studio-ml` beside the web process.

    Attributes:
        environment: folder of the virtual environment in which it is installed.
        port: on which it listens, at the address of the web process.
    """

    environment: Path
    port: int

    @property
    def python(self) -> Path:
        """The Python that has `label-studio-ml`."""
        return self.environment / "bin" / "python"


@click.command()
@click.option(
    "--label-studio-ml",
    "environment",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Also serve through label-studio-ml, which is installed in this virtual environment.",
)
@click.option(
    "--label-studio-ml-port",
    "port",
    type=click.IntRange(1, 65535),
    default=9091,
    show_default=True,
    help="Port of that server.",
)
def serve(environment: Path | None, port: int) -> int:
    """Run web process, workers and, unless REDIS_URL is set, a Redis."""
    run_all(load_settings(), LabelStudioMl(environment, port) if environment else None)
    return 0


def run_all(settings: Settings, label_studio_ml: LabelStudioMl | None = None) -> None:
    """Run all processes until Ctrl-C or SIGTERM, and leave none of them running.

    The processes read the same environment that `settings` came from.

    Args:
        label_studio_ml: a further server for Label Studio; None for none.

    Raises:
        RuntimeError: a requirement is missing, or the port is taken; the message says what to do.
        ChildRefused: a process cannot run with these settings, and has logged the reason.
    """
    _expect_installed(label_studio_ml)
    create_files_privately()
    set_up_logging(settings.log_level, settings.log_format, settings.secrets())
    supervisor = Supervisor(refusal=os.EX_CONFIG)
    # Opened here, so that callers wait while the web process restarts.
    listener = listen(settings.host, settings.port, otherwise="set PORT (and HOST) to another")
    with listener, _stop_signals() as stop:
        try:
            environment = _environment(supervisor, settings)
            _start_web(supervisor, settings, listener, environment)
            if _wait_until_ready(supervisor, settings, stop):
                if label_studio_ml is not None:
                    _start_label_studio_ml(supervisor, settings, label_studio_ml, environment)
                # Only now: loading torch would take the processor from the web process.
                _start_workers(supervisor, settings, environment)
            while not stop.wait(_CHECK_SECONDS):
                supervisor.check()
        finally:
            logger.info("Stopping all processes")
            supervisor.end(grace=_GRACE_SECONDS)


def _expect_installed(label_studio_ml: LabelStudioMl | None) -> None:
    if label_studio_ml is not None and not label_studio_ml.python.exists():
        raise RuntimeError(
            "expected a virtual environment with label-studio-ml in "
            f"{label_studio_ml.environment}, got none: `make label-studio-ml` makes it"
        )


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Set the event at Ctrl-C, at SIGTERM and when the terminal closes."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _environment(supervisor: Supervisor, settings: Settings) -> dict[str, str]:
    """Return the environment of the processes; start a Redis for them unless REDIS_URL is set."""
    if settings.redis_url is not None:
        return dict(os.environ)
    return {**os.environ, "REDIS_URL": _start_redis(supervisor, settings)}


def _start_redis(supervisor: Supervisor, settings: Settings) -> str:
    """Start the embedded Redis and return its address, which stays the same after a restart."""
    first = embedded_redis.start(settings.data_dir)
    started = [first.process]

    def launch() -> Popen[bytes]:
        return started.pop() if started else embedded_redis.start(settings.data_dir).process

    supervisor.start("Redis", launch, foundation=True)
    return first.url


def _start_web(
    supervisor: Supervisor,
    settings: Settings,
    listener: socket.socket,
    environment: Mapping[str, str],
) -> None:
    prepare_contract(settings)
    fd = listener.fileno()
    command = web_command(settings, bind=f"fd://{fd}")
    supervisor.start("The web process", lambda: spawn(command, env=environment, pass_fds=[fd]))


def _start_workers(
    supervisor: Supervisor, settings: Settings, environment: Mapping[str, str]
) -> None:
    # The web process has to answer Label Studio within a second, however busy the workers are.
    worker = ["nice", "-n", "5", sys.executable, "-m", "backend", "worker"]
    trainer = [sys.executable, "-m", "backend", "trainer"]  # lowers its priority itself
    for kind, count, command in (
        ("worker", settings.detection_workers or _detection_workers(), worker),
        ("trainer", settings.training_workers, trainer),
    ):
        for number in range(1, count + 1):
            name = f"The {kind}" if count == 1 else f"{kind.capitalize()} {number}"
            supervisor.start(name, partial(_launch, command, environment))


def _start_label_studio_ml(
    supervisor: Supervisor,
    settings: Settings,
    label_studio_ml: LabelStudioMl,
    environment: Mapping[str, str],
) -> None:
    port = str(label_studio_ml.port)
    module = ["-m", "backend.hosts.label_studio_ml_server"]
    command = [str(label_studio_ml.python), *module, "--host", settings.host, "--port", port]
    supervisor.start("label-studio-ml", lambda: spawn(command, env=environment))
    print(
        f"label-studio-ml: port {port}. Its release on PyPI asks for no password: let only Label "
        "Studio reach that port.",
        flush=True,
    )


def _detection_workers() -> int:
    count = machine.detection_workers_for(machine.processor_cores(), machine.memory())
    logger.info("Detection workers: %d; DETECTION_WORKERS changes that", count)
    return count


def _launch(command: Sequence[str], environment: Mapping[str, str]) -> Popen[bytes]:
    # SIGTERM would not end it during a long computation.
    return spawn(command, env=environment, when_parent_dies=signal.SIGKILL)


def _wait_until_ready(supervisor: Supervisor, settings: Settings, stop: threading.Event) -> bool:
    """Wait until /health answers, and print what to do next.

    Returns:
        False if a stop signal came first.

    Raises:
        ChildRefused: the web process ended instead.
    """
    address = address_of(settings)
    while not stop.wait(_CHECK_SECONDS):
        supervisor.check()
        if not supervisor.all_running():
            raise ChildRefused("a process ended before all were ready: see its reason above")
        version = _model_version(address)
        if version is not None:
            print(_next_steps(settings, address, version), flush=True)
            return True
    return False


def address_of(settings: Settings) -> str:
    """Return the address at which this machine reaches the web process."""
    host = _WILDCARD_ADDRESSES.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _model_version(address: str) -> str | None:
    """Return the model version of the web process; None while it does not answer."""
    try:
        response = requests.get(f"{address}/health", timeout=5)
    except requests.RequestException:
        return None
    return str(response.json()["model_version"]) if response.status_code == 200 else None


def _next_steps(settings: Settings, address: str, version: str) -> str:
    lines = [
        f"Ready: {address} (model version {version})",
        "Connect it in Label Studio: project, Settings, Model, Connect Model, with this address.",
    ]
    if settings.basic_auth_user:
        lines.append(
            "Put user and password into the address, as in "
            f"http://{settings.basic_auth_user}:PASSWORD@...: Label Studio sends events without "
            "the basic authentication of its form."
        )
    lines.append(
        "Label Studio 1.23 refuses backends on private addresses unless it is started with "
        "ML_BLOCK_LOCAL_IP=false SSRF_PROTECTION_ENABLED=false."
    )
    if settings.label_studio_api_key is None:
        lines.append(
            "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are not set: images are fetched with the "
            "token that Label Studio sends, which works only if legacy tokens are enabled there."
        )
    lines.append("Ctrl-C stops it.")
    return "\n".join(lines)
