"""Run workers on hosts of their own, cut the network of one, and count what arrives all the same.

    python tests/hosts_run.py --report docs/scaling.md

Each host is a network namespace of Linux, with an address of its own, on a bridge to this machine,
where Redis, PostgreSQL, web process and a stand-in of Label Studio run. Needs root and `ip`.
`test_hosts` runs it in a short form.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import click
import numpy as np
import requests
from fault_run import OwnPostgres, OwnRedis, wait_for
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake
from loopback_server import loopback_server
from serving import PLAIN_ENVIRONMENT, ROOT
from small_weights import save_small_network
from throughput_run import processor_seconds

from backend.local.label_studio import free_port
from backend.local.machine import processor_cores
from backend.local.processes import end_all, spawn
from studies.marked_section import around, put_into

NET = "10.213.57"
HERE = f"{NET}.1"
GIVES_UP_SECONDS = 240.0
SECTION = "on several hosts"
_LETTERS = cycle("abcdefghij")


def ip(*arguments: str) -> None:
    """Run `ip` of iproute2."""
    try:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        error.add_note(error.stderr.decode().strip())
        raise


def why_not() -> str | None:
    """Why this machine cannot have network namespaces; None if it can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and iproute2's `ip`"
    try:
        probe = f"prelabel-probe-{os.getpid()}"  # other processes may ask at the same time
        ip("netns", "add", probe)
        ip("netns", "delete", probe)
    except subprocess.CalledProcessError as error:
        return f"the kernel gives no network namespaces: {error.stderr.decode().strip()}"
    return None


@dataclass(frozen=True)
class Host:
    """A network namespace with one address."""

    name: str
    link: str

    def cut(self) -> None:
        """Lose every packet from now on, as when a cable is pulled."""
        ip("link", "set", self.link, "down")

    def join(self) -> None:
        """Be reachable again."""
        ip("link", "set", self.link, "up")

    def reaches(self, url: str) -> bool:
        """Whether a connection can be made from it within two seconds."""
        place = urlsplit(url)
        connect = f"import socket; socket.create_connection({(place.hostname, place.port)}, 2)"
        command = ["ip", "netns", "exec", self.name, sys.executable, "-c", connect]
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Make hosts that reach this machine at `HERE`, until the block ends."""
    # The kernel takes the names back some time after they are deleted.
    bridge = f"pre{os.getpid() % 100000}{next(_LETTERS)}"
    made: list[Host] = []
    ip("link", "add", bridge, "type", "bridge")
    try:
        ip("address", "add", f"{HERE}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number in range(1, count + 1):
            host = Host(f"{bridge}-{number}", f"{bridge}v{number}")
            ip("netns", "add", host.name)
            made.append(host)
            inner = ("peer", "name", "eth0", "netns", host.name)
            ip("link", "add", host.link, "type", "veth", *inner)
            ip("link", "set", host.link, "master", bridge, "up")
            inside = ("-netns", host.name)
            ip(*inside, "address", "add", f"{NET}.{10 + number}/24", "dev", "eth0")
            for name in ("lo", "eth0"):
                ip(*inside, "link", "set", name, "up")
        yield made
    finally:
        for host in made:
            ip("netns", "delete", host.name)
        ip("link", "delete", bridge)


@dataclass(frozen=True)
class Arrived:
    """What arrived in spite of a cut.

    Attributes:
        seconds: from the end of the cut, or from the request where nothing was cut, until
            everything was there; None if it never was.
        during: predictions that arrived while the network of one host was cut.
        processor: part → ms of processor time a prediction.
        stand_in: share of one core that the stand-in of Label Studio used.
        tracebacks: in the logs of the workers.
    """

    predictions: int
    doubles: int
    during: int
    seconds: float | None
    processor: dict[str, float]
    stand_in: float
    tracebacks: int


def run(folder: Path, *, workers: int, tasks: int, seconds: float) -> Arrived:
    """Ask for predictions, cut the network of the first host for some seconds, and wait.

    Args:
        seconds: 0 to cut nothing.
    """
    with ExitStack() as stack:
        names = stack.enter_context(hosts(workers))
        fake, redis = LabelStudioFake(), OwnRedis(host=HERE)
        fake.image_seconds = 0.05
        postgres = OwnPostgres(Path(tempfile.mkdtemp()), host=HERE)
        stack.callback(shutil.rmtree, postgres.folder, ignore_errors=True)
        redis.start()
        stack.callback(redis.kill)
        postgres.start()
        stack.callback(postgres.stop)
        fake.url = stack.enter_context(loopback_server(fake.handle, host=HERE)).url
        environment = _environment(folder, fake, redis, postgres)
        web, processes = _start(stack, folder, environment, names)
        _make_tasks(fake, tasks)
        pids = {
            "worker": [process.pid for process in processes],
            "web process": _family(web.pid),
            "Redis": [redis.process.pid] if redis.process else [],
        }
        before = {name: processor_seconds(each) for name, each in pids.items()}
        begin, own = time.monotonic(), time.process_time()
        _request(environment, fake)
        during = _cut(names[0], fake, seconds) if seconds else 0
        ended = time.monotonic() if seconds else begin
        complete = wait_for(lambda: _count(fake) == tasks, GIVES_UP_SECONDS)
        took = time.monotonic() - ended
        stand_in = (time.process_time() - own) / (time.monotonic() - begin)
        used = {
            name: 1000 * (processor_seconds(each) - before[name]) / tasks
            for name, each in pids.items()
        }
        time.sleep(3 if seconds else 0)  # for a second delivery, which must not come
        words = "".join(path.read_text(errors="replace") for path in folder.glob("worker-*.log"))
        doubles = sum(len(fake.of_task(number)) > 1 for number in fake.tasks)
        return Arrived(
            _count(fake),
            doubles,
            during,
            took if complete else None,
            used,
            stand_in,
            words.count("Traceback"),
        )


def _environment(
    folder: Path, fake: LabelStudioFake, redis: OwnRedis, postgres: OwnPostgres
) -> dict[str, str]:
    return {
        **PLAIN_ENVIRONMENT,
        "HOST": HERE,
        "PORT": str(free_port()),
        "DATA_DIR": str(folder / "data"),
        "REDIS_URL": redis.url,
        "DATABASE_URL": postgres.url,
        "LABEL_STUDIO_URL": fake.url,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "MODEL_WEIGHTS": str(save_small_network(folder / "small.safetensors")),
        "DETECTOR_INPUT_SIZE": "32",
        "DETECTOR_STRIDE": "16",
        "PREDICT_WAIT_BATCH": "0",
        "SUGGEST": "always",
    }


def _start(
    stack: ExitStack, folder: Path, environment: dict[str, str], names: Sequence[Host]
) -> tuple[subprocess.Popen[bytes], list[subprocess.Popen[bytes]]]:
    """Start the web process here and a worker on each host, and wait until all are ready."""
    backend = [sys.executable, "-m", "backend"]

    def start(name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        output = stack.enter_context((folder / f"{name}.log").open("ab"))
        return spawn(command, env=environment, cwd=ROOT, output=output)

    processes: list[subprocess.Popen[bytes]] = []
    stack.callback(lambda: end_all(processes, grace=10))
    web = start("web", [*backend, "web"])
    processes.append(web)
    assert wait_for(lambda: _answers(environment), 60), (folder / "web.log").read_text()
    workers = [
        start(f"worker-{number}", ["ip", "netns", "exec", host.name, *backend, "worker"])
        for number, host in enumerate(names)
    ]
    processes += workers
    for path in (folder / f"worker-{number}.log" for number in range(len(names))):
        assert wait_for(lambda path=path: ": Ready\n" in path.read_text(), 120), path.read_text()
    return web, workers


def _answers(environment: dict[str, str]) -> bool:
    try:
        return requests.get(f"{_address(environment)}/health", timeout=5).ok
    except requests.RequestException:
        return False


def _address(environment: dict[str, str]) -> str:
    return f"http://{environment['HOST']}:{environment['PORT']}"


def _make_tasks(fake: LabelStudioFake, count: int) -> None:
    from test_suggestions_detection_job import encoded

    pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for number in range(1, count + 1):
        fake.add_task(number, encoded(pixels))


def _request(environment: dict[str, str], fake: LabelStudioFake) -> None:
    address, tasks = _address(environment), list(fake.tasks.values())
    setup = {"project": UID, "schema": CONFIG, "hostname": fake.url, "access_token": TOKEN}
    requests.post(f"{address}/setup", json=setup, timeout=30).raise_for_status()
    body = {"tasks": tasks, "project": UID, "label_config": CONFIG}
    answer = requests.post(f"{address}/predict", json=body, timeout=100)
    answer.raise_for_status()
    fake.store_answers(tasks, answer.json()["results"])


def _cut(host: Host, fake: LabelStudioFake, seconds: float) -> int:
    """Cut a host off once work goes on, and return how many predictions arrived meanwhile."""
    assert wait_for(lambda: _count(fake) >= 5, 60)
    assert host.reaches(fake.url)
    host.cut()
    before = _count(fake)
    assert not host.reaches(fake.url)
    time.sleep(seconds)
    host.join()
    return _count(fake) - before


def _count(fake: LabelStudioFake) -> int:
    return sum(bool(fake.of_task(number)) for number in fake.tasks)


def _family(pid: int) -> list[int]:
    from serving import descendants

    return [pid, *descendants(pid)]


@dataclass(frozen=True)
class Case:
    """What is done with how many hosts.

    Attributes:
        cut_seconds: how long the network of one of them is cut; 0 for never.
    """

    hosts: int
    tasks: int
    cut_seconds: float = 0.0

    def in_words(self) -> str:
        hosts = f"{self.hosts} host{'s' if self.hosts > 1 else ''}"
        if self.cut_seconds:
            return f"{hosts}, the network of one is cut for {self.cut_seconds:.0f} s"
        return f"{hosts}, nothing is cut"


def numbers_for(cores: int) -> list[int]:
    """Return the numbers of hosts that a machine has the cores for; two in any case."""
    return [number for number in (1, 2, 4, 8) if number <= max(2, cores // 2)]


def as_table(found: Sequence[tuple[Case, Arrived]]) -> str:
    """Return outcomes as a table in Markdown; rates are compared with that of one host."""
    lines = [
        "| what happens | predictions | of these twice | while it was cut off | all after, s "
        "| a second, of one host | processor ms a prediction: worker | web process | Redis "
        "| stand-in, of a core | tracebacks |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    rates = {case.hosts: rate_of(case, each) for case, each in found if not case.cut_seconds}
    for case, each in found:
        took = f"{each.seconds:.0f}" if each.seconds is not None else "never"
        rate = rate_of(case, each)
        one = rates.get(1)
        shown = f"{rate:.1f}, {rate / one:.2f}" if rate and one else "–"
        lines.append(
            f"| {case.in_words()} | {each.predictions} of {case.tasks} | {each.doubles} "
            f"| {each.during if case.cut_seconds else '–'} | {took} | {shown} "
            f"| {each.processor['worker']:.1f} | {each.processor['web process']:.1f} "
            f"| {each.processor['Redis']:.1f} | {each.stand_in:.2f} | {each.tracebacks} |"
        )
    return "\n".join(lines)


def rate_of(case: Case, arrived: Arrived) -> float | None:
    """Return the predictions a second, where nothing was cut and everything came."""
    if case.cut_seconds or not arrived.seconds:
        return None
    return arrived.predictions / arrived.seconds


@click.command()
@click.option("--tasks", default=300, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="Length of the cut.")
@click.option("--hosts", help="Numbers of them, as in 1,2,4; default: as the cores allow.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the table into this file.")
@click.option("--cut/--no-cut", default=True, help="Whether one host is cut off at the end.")
def main(tasks: int, seconds: float, hosts: str | None, cut: bool, report: Path | None) -> None:
    """Run workers on several hosts, cut the network of one, and print what arrived."""
    reason = why_not()
    if reason:
        raise click.ClickException(reason)
    if report:
        around(report, SECTION)
    numbers = list(map(int, hosts.split(","))) if hosts else numbers_for(processor_cores())
    cases = [Case(number, tasks) for number in numbers]
    if cut:
        cases.append(Case(min(4, max(numbers)), tasks, seconds))
    found: list[tuple[Case, Arrived]] = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            arrived = run(
                Path(folder), workers=case.hosts, tasks=case.tasks, seconds=case.cut_seconds
            )
        click.echo(f"{case.in_words()}: {arrived}", err=True)
        found.append((case, arrived))
    text = f"On {processor_cores()} cores:\n\n{as_table(found)}"
    if report:
        put_into(report, text, SECTION)
    print(text)
    sys.exit(any(each.seconds is None or each.doubles for _, each in found))


if __name__ == "__main__":
    main()
