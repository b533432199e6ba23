"""All of the backend on one machine, in the foreground: web, workers, and a Redis of their own."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from subprocess import Popen
from typing import Any

import requests

from backend.database.prepare import prepare_database
from backend.local import embedded_redis
from backend.local.processes import spawn
from backend.local.supervisor import ChildRefused, Supervisor
from backend.logs import set_up_logging
from backend.settings import Settings
from backend.web.server import web_command

log = logging.getLogger(__name__)

_CHECK_SECONDS = 0.05

# A worker gives its unfinished job back at once; a batch of the occlusion map may take so long.
_GRACE_SECONDS = 8.0

# Addresses that mean every address of the machine, and how to reach one of them.
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class PortTaken(RuntimeError):
    """Somebody else listens where we would; one line that says what to do."""


def serve(settings: Settings) -> int:
    """Run until Ctrl-C or SIGTERM, and leave nothing running.

    Children read the same environment that `settings` came from.

    Returns:
        0 when told to end.

    Raises:
        RuntimeError: something that is needed is missing or taken; one line that says what to do.
        ChildRefused: a worker cannot run with these settings, and has said why.
    """
    set_up_logging(settings.log_level)
    supervisor = Supervisor(refusal=os.EX_CONFIG)
    with _listen(settings.host, settings.port) as listener, _told_to_stop() as stop:
        try:
            environment = _environment(supervisor, settings)
            _start_web(supervisor, settings, listener, environment)
            if _ready(supervisor, settings, stop):
                # Not before: loading torch would take the processor from the web process.
                _start_workers(supervisor, settings, environment)
            while not stop.wait(_CHECK_SECONDS):
                supervisor.check()
        finally:
            log.info("Ending all that was started")
            supervisor.end(grace=_GRACE_SECONDS)
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Open socket, held by us: while the web process is started again, callers wait a moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise PortTaken(
            f"expected to listen on {host}, port {port}, but: {os.strerror(error.errno or 0)}. "
            "Stop what listens there, or set PORT (and HOST) to another"
        ) from error


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Event that is set by Ctrl-C, by SIGTERM and by a terminal that closes."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _environment(supervisor: Supervisor, settings: Settings) -> dict[str, str]:
    """Environment of the children: ours, with the address of a Redis that is started if need be."""
    if settings.redis_url is not None:
        return dict(os.environ)
    return {**os.environ, "REDIS_URL": _start_redis(supervisor, settings)}


def _start_redis(supervisor: Supervisor, settings: Settings) -> str:
    """Start the embedded Redis; its address is the same each time that it is started again."""
    first = embedded_redis.start(settings.data_dir)
    ready = [first.process]

    def launch() -> Popen[bytes]:
        return ready.pop() if ready else embedded_redis.start(settings.data_dir).process

    supervisor.start("Redis", launch, foundation=True)
    return first.url


def _start_web(
    supervisor: Supervisor,
    settings: Settings,
    listener: socket.socket,
    environment: Mapping[str, str],
) -> None:
    prepare_database(settings)
    fd = listener.fileno()
    command = web_command(settings, bind=f"fd://{fd}")
    supervisor.start("The web process", lambda: spawn(command, env=environment, pass_fds=[fd]))


def _start_workers(
    supervisor: Supervisor, settings: Settings, environment: Mapping[str, str]
) -> None:
    # Label Studio gives the web process a second to answer, however busy the workers are.
    worker = ["nice", "-n", "5", sys.executable, "-m", "backend", "worker"]
    trainer = [sys.executable, "-m", "backend", "trainer"]  # makes itself as nice as it has to be
    for kind, count, command in (
        ("worker", settings.detection_workers, worker),
        ("trainer", settings.training_workers, trainer),
    ):
        for number in range(1, count + 1):
            name = f"The {kind}" if count == 1 else f"{kind.capitalize()} {number}"
            supervisor.start(name, partial(_launch, command, environment))


def _launch(command: Sequence[str], environment: Mapping[str, str]) -> Popen[bytes]:
    # It may be deep in a calculation, deaf to anything milder, when we are killed.
    return spawn(command, env=environment, when_parent_dies=signal.SIGKILL)


def _ready(supervisor: Supervisor, settings: Settings, stop: threading.Event) -> bool:
    """Once /health answers, say where it listens and what to do next; false when told to stop.

    Raises:
        ChildRefused: the web process ended instead.
    """
    address = address_of(settings)
    while not stop.wait(_CHECK_SECONDS):
        supervisor.check()
        if not supervisor.all_running():
            raise ChildRefused("a process ended before all was ready: its reason is above")
        health = _health(address)
        if health is not None:
            print(_next_steps(settings, address, health), flush=True)
            return True
    return False


def address_of(settings: Settings) -> str:
    """Where this machine reaches the web process."""
    host = _EVERY_ADDRESS.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _health(address: str) -> dict[str, Any] | None:
    try:
        response = requests.get(f"{address}/health", timeout=5)
    except requests.RequestException:
        return None
    return dict(response.json()) if response.status_code == 200 else None


def _next_steps(settings: Settings, address: str, health: Mapping[str, Any]) -> str:
    lines = [
        f"Ready: {address} (model version {health['model_version']})",
        "Connect it in Label Studio: project, Settings, Model, Connect Model, with this address.",
    ]
    if settings.basic_auth_user:
        lines.append(
            "Write user and password into the address, as in "
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
            "token that Label Studio hands over, which it accepts only where legacy tokens are on."
        )
    lines.append("Ctrl-C ends it.")
    return "\n".join(lines)
