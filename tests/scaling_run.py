"""How many suggestions a second a machine makes, by the number of workers, with and without a GPU.

    python tests/scaling_run.py --report docs/scaling.md

Each measurement is a complete deployment: `serve` with so many workers, Redis, PostgreSQL where it
is installed, and a stand-in of Label Studio over real HTTP. As many bare loops of the detector run
side by side right before it. Where torch finds a GPU, workers on the GPU are measured too.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import click
from fault_run import OwnPostgres, wait_for
from serving import Serving, command_line, descendants
from throughput_run import (
    NICENESS,
    ROOT,
    SIZE,
    TimedLabelStudio,
    deployment,
    draw_pictures,
    processor_seconds,
    request,
    save_random_network,
)

from backend.detector_variables import DETECTOR_PREFIX
from model.settings import PRESETS, DetectorSettings
from studies.marked_section import around, put_into

SECTION = "by number of workers"
CPU, GPU = "processor", "GPU"
WARM_UP = 5  # images of each worker and each bare loop: a GPU's first ones choose how to compute
GIVES_UP_SECONDS = 240.0
MOST_TASKS = 6000
# Cores that everything beside the workers needs: web, database, Redis and the stand-in.
LEFT_FREE = 4


@dataclass(frozen=True)
class Setup:
    """What is measured with several numbers of workers.

    Attributes:
        arch: of a network with random weights.
        preset: of the detector's settings.
        device: where the workers and the bare loops detect.
    """

    arch: str
    preset: str
    device: str
    database: str


@dataclass(frozen=True)
class Measured:
    """What so many workers reached.

    Attributes:
        machine: its processor, its GPU and the version of torch.
        bare: images a second of as many bare loops side by side.
        rate: suggestions a second; None where bare loops alone were measured, as for what follows.
        milliseconds: processor time a suggestion, by part of the deployment.
        stand_in: share of one core that the stand-in of Label Studio used.
        gpu: share of the time that the GPU was busy, and MiB of its memory in use; None without.
    """

    machine: str
    setup: Setup
    workers: int
    bare: float
    rate: float | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    stand_in: float = 0.0
    gpu: tuple[float, float] | None = None


# Bare loops, each a process of its own that runs this file


def bare_loop(weights: Path, folder: Path, preset: str, seconds: float) -> dict[str, float]:
    """Decode and detect in a loop for some seconds, once a line comes on the standard input."""
    import torch

    from model.decoding import decode
    from model.detector import Detector
    from model.networks import load_classifier

    torch.set_num_threads(1)
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    detector = Detector(load_classifier(None, str(weights)), PRESETS[preset])

    def detect(number: int) -> None:
        detector.detect(decode(files[number % len(files)], max_pixels=50_000_000))

    for number in range(WARM_UP if torch.cuda.is_available() else 1):
        detect(number)
    print("ready", flush=True)
    sys.stdin.readline()
    began, images = time.monotonic(), 0
    while images < 2 or time.monotonic() - began < seconds:
        detect(images)
        images += 1
    return {"rate": images / (time.monotonic() - began)}


def run_bare(setup: Setup, weights: Path, folder: Path, loops: int, seconds: float) -> float:
    """Run bare loops side by side, which begin together; return images a second of them all."""
    command = [*NICENESS, sys.executable, __file__, "--bare", "--weights", str(weights)]
    command += ["--pictures", str(folder), "--preset", setup.preset, "--seconds", str(seconds)]
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    environment = {**os.environ, **paths, **variables_of_device(setup.device)}
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    env=environment,
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(loops)
        ]
        for process in running:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return sum(float(json.loads(process.communicate()[0])["rate"]) for process in running)


def variables_of_device(device: str) -> dict[str, str]:
    """Return the environment variables that keep torch on the processor, or let it choose."""
    return {"CUDA_VISIBLE_DEVICES": ""} if device == CPU else {}


def variables_of_preset(preset: str) -> dict[str, str]:
    """Return the environment variables that give workers the settings of a preset."""
    settings = PRESETS[preset]
    return {
        f"{DETECTOR_PREFIX}{each.name}".upper(): str(
            "none" if (value := getattr(settings, each.name)) is None else value
        )
        for each in fields(DetectorSettings)
    }


# The complete deployment


@dataclass
class Clock:
    """Processor time of the parts of a deployment, the stand-in of Label Studio among them."""

    serve: Serving
    postgres: int | None

    def read(self) -> dict[str, float]:
        """Return the s that each part has used so far."""
        redis = [pid for pid in descendants(os.getpid()) if "redis-server" in command_line(pid)]
        workers = [*self.serve.pids("backend worker"), *self.serve.pids("decoding_process")]
        used = {
            "workers": processor_seconds(workers),
            "web": processor_seconds(self.serve.pids("gunicorn")),
            "Redis": processor_seconds(redis),
        }
        if self.postgres is not None:
            used["PostgreSQL"] = processor_seconds([self.postgres, *descendants(self.postgres)])
        return used | {"stand-in": time.process_time()}


def run_service(
    setup: Setup, weights: Path, files: Sequence[bytes], workers: int, seconds: float, tasks: int
) -> tuple[float, dict[str, float], float, tuple[float, float] | None]:
    """Have suggestions made and delivered for some seconds, while more wait.

    Returns:
        Rate, milliseconds, share of the stand-in, and GPU; see `Measured`.
    """
    variables = {
        "DETECTION_WORKERS": str(workers),
        **variables_of_device(setup.device),
        **variables_of_preset(setup.preset),
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(own_postgres()) if setup.database != "SQLite" else None
        if postgres is not None:
            variables["DATABASE_URL"] = postgres.url
        serve, fake = stack.enter_context(deployment(folder, weights, files, tasks, variables))
        ready = wait_for(lambda: serve.words().count(": Ready\n") >= workers, GIVES_UP_SECONDS)
        assert ready, serve.words()
        server = postgres.process.pid if postgres and postgres.process else None
        return _measured(serve, fake, Clock(serve, server), workers, seconds, setup.device)


def _measured(
    serve: Serving,
    fake: TimedLabelStudio,
    clock: Clock,
    workers: int,
    seconds: float,
    device: str,
) -> tuple[float, dict[str, float], float, tuple[float, float] | None]:
    before = clock.read()
    request(serve, fake, list(fake.tasks.values()))
    asking = (clock.read()["web"] - before["web"]) / len(fake.tasks)
    warm = len(fake.stored_at) + WARM_UP * workers
    assert wait_for(lambda: len(fake.stored_at) >= warm, GIVES_UP_SECONDS), serve.words()
    begin, first, used = time.monotonic(), len(fake.stored_at), clock.read()
    gpu = watch_gpu(seconds) if device == GPU else None
    time.sleep(max(0.0, begin + seconds - time.monotonic()))
    # A slow network is measured until some images are done.
    assert wait_for(lambda: len(fake.stored_at) - first >= 4 * workers, GIVES_UP_SECONDS)
    took, count, after = time.monotonic() - begin, len(fake.stored_at) - first, clock.read()
    if first + count >= len(fake.tasks):
        raise click.ClickException(f"all {len(fake.tasks)} tasks were done within {took:.1f} s")
    spent = {name: after[name] - used[name] for name in used}
    milliseconds = {name: 1000 * spent[name] / count for name in spent}
    milliseconds["web"] += 1000 * asking
    return count / took, milliseconds, spent["stand-in"] / took, gpu


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A PostgreSQL server until the block ends."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        server = OwnPostgres(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def watch_gpu(seconds: float) -> tuple[float, float] | None:
    """Return the mean share of time that the first GPU is busy, and MiB of its memory in use."""
    busy, memory = [], 0.0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader"]
        try:
            answer = subprocess.run([*query, "--id=0"], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        share, used = (float(part.split()[0]) for part in answer.stdout.split(","))
        busy.append(share / 100)
        memory = max(memory, used)
        time.sleep(0.5)
    return sum(busy) / len(busy), memory


# All of it


def machine() -> str:
    """Return the processor, the GPU and the version of torch as words."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    name = f"{cores} cores ({models[0] if models else 'unknown processor'})"
    if torch.cuda.is_available():
        name += f", {torch.cuda.get_device_name(0)}"
    return f"{name}, torch {torch.__version__}"


def plan(cores: int, has_gpu: bool, database: str) -> Iterator[tuple[Setup, int, bool]]:
    """Yield set-ups that suit a machine: number of workers, and whether only as bare loops.

    What says most comes first, as the whole takes long.
    """
    numbers = [number for number in (1, 2, 4, 8, 12, 24, 48) if number <= max(2, cores - LEFT_FREE)]
    light, heavy = "squeezenet1_1", "vgg19"
    for number in numbers:
        yield Setup(light, "default", CPU, database), number, False
    if database != "SQLite":
        yield Setup(light, "default", CPU, "SQLite"), numbers[-1], False
    if not has_gpu:
        return
    pairs = [(arch, preset) for preset in ("default", "poster") for arch in (heavy, light)]
    for arch, preset in pairs:
        if (arch, preset) != (light, "default"):
            yield Setup(arch, preset, CPU, database), 1, True
    for number in (1, 4, 2):
        for arch, preset in pairs:
            yield Setup(arch, preset, GPU, database), number, False


def measure(
    setup: Setup, weights: Path, pictures: Path, workers: int, seconds: float, *, only_bare: bool
) -> Measured:
    """Measure the bare loops and the deployment, one right after the other."""
    bare = run_bare(setup, weights, pictures, workers, seconds)
    if only_bare:
        return Measured(machine(), setup, workers, bare)
    files = [path.read_bytes() for path in sorted(pictures.iterdir())]
    tasks = min(MOST_TASKS, round(2 * bare * (seconds + 6) + (WARM_UP + 6) * workers + 20))
    found = run_service(setup, weights, files, workers, seconds, tasks)
    return Measured(machine(), setup, workers, bare, *found)


def as_text(results: Sequence[Measured]) -> str:
    """Return what was measured as tables in Markdown, one for each machine."""
    parts = []
    for name in dict.fromkeys(each.machine for each in results):
        of_machine = [each for each in results if each.machine == name]
        parts.append(f"On {name}:\n\n{as_table(of_machine)}")
        if gains := gain_rows(of_machine):
            parts.append("One loop, and one worker, on each device:\n\n" + "\n".join(gains))
    return "\n\n".join(parts)


def as_table(results: Sequence[Measured]) -> str:
    """Return the results of one machine as a table in Markdown."""
    lines = [
        "| network, preset | detects on | database | workers | bare loops, images a second "
        "| suggestions a second | of the bare loops | of one worker | ms of workers | of web "
        "| of Redis | of PostgreSQL | stand-in, of a core | GPU busy; MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in sorted(results, key=_place):
        one = next(
            (other for other in results if (other.setup, other.workers) == (each.setup, 1)), None
        )
        lines.append("| " + " | ".join([*_setup_cells(each), *_service_cells(each, one)]) + " |")
    return "\n".join(lines)


def gain_rows(results: Sequence[Measured]) -> list[str]:
    """Return a table of how much faster the GPU is; empty where no pair was measured.

    Its last column is calculated: workers that would keep the GPU busy all the time, if each needs
    it for the share of the time that one alone does. At least one.
    """
    of_one = {each.setup: each for each in results if each.workers == 1}
    rows = []
    for gpu in sorted((each for each in of_one.values() if each.setup.device == GPU), key=_place):
        cpu = of_one.get(replace(gpu.setup, device=CPU))
        if cpu is None:
            continue
        name = f"{gpu.setup.arch}, {gpu.setup.preset}"
        served = f"{gpu.rate / cpu.rate:.1f}" if gpu.rate and cpu.rate else "–"
        share, memory, workers = "–", "–", "–"
        if gpu.gpu:
            share, memory = f"{gpu.gpu[0]:.0%}", f"{gpu.gpu[1]:.0f}"
            workers = str(max(1, int(1 / gpu.gpu[0]))) if gpu.gpu[0] else "–"
        rows.append(
            f"| {name} | {cpu.bare:.3g} | {gpu.bare:.3g} | {gpu.bare / cpu.bare:.1f} | {served} "
            f"| {share} | {memory} | {workers} |"
        )
    header = [
        "| network, preset | bare loop on the processor, images a second | on the GPU "
        "| times as fast | one worker, times as fast | GPU busy with one worker | its MiB "
        "| workers that fill the GPU (calculated) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return [*header, *rows] if rows else []


def _place(each: Measured) -> tuple[object, ...]:
    """Return what the rows of the table are sorted by."""
    setup = each.setup
    return (setup.preset, setup.arch, setup.device != CPU, setup.database, each.workers)


def _setup_cells(each: Measured) -> list[str]:
    setup = each.setup
    name = f"{setup.arch}, {setup.preset}"
    return [name, setup.device, setup.database, str(each.workers), f"{each.bare:.3g}"]


def _service_cells(each: Measured, one: Measured | None) -> list[str]:
    if each.rate is None:
        return ["–"] * 9
    spent = each.milliseconds
    parts = [f"{spent[name]:.1f}" for name in ("workers", "web", "Redis")]
    return [
        f"{each.rate:.1f}",
        f"{each.rate / each.bare:.2f}",
        f"{each.rate / one.rate:.2f}" if one and one.rate else "–",
        *parts,
        f"{spent['PostgreSQL']:.1f}" if "PostgreSQL" in spent else "–",
        f"{each.stand_in:.2f}",
        f"{each.gpu[0]:.0%}; {each.gpu[1]:.0f}" if each.gpu else "–",
    ]


def read_results(path: Path | None) -> list[Measured]:
    """Return the results that a file holds, one JSON object a line; none without a file."""
    if path is None or not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        values: dict[str, Any] = json.loads(line)
        gpu = tuple(values["gpu"]) if values["gpu"] else None
        found.append(Measured(**{**values, "setup": Setup(**values["setup"]), "gpu": gpu}))
    return found


def missing(results: Sequence[Measured], device: str) -> Iterator[tuple[Setup, int, bool]]:
    """Yield what remains to be measured on this machine."""
    import torch

    done = {(each.setup, each.workers) for each in results if each.machine == machine()}
    cores = len(os.sched_getaffinity(0))
    for setup, workers, only_bare in plan(cores, torch.cuda.is_available(), database_here()):
        belongs_to = GPU if only_bare else setup.device  # it is what the GPU is compared with
        if device in ("all", belongs_to) and (setup, workers) not in done:
            yield setup, workers, only_bare


def database_here() -> str:
    """Return the database that deployments get: PostgreSQL where it is installed."""
    installed = shutil.which("postgres") or any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return "PostgreSQL" if installed else "SQLite"


@click.command()
@click.option("--seconds", default=15.0, show_default=True, help="Of each measurement.")
@click.option("--device", type=click.Choice(["all", CPU, GPU]), default="all", show_default=True)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Keep measurements in this file, a line each, and repeat none that it holds.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write the result into this file.")
@click.option("--only-print", is_flag=True, help="Measure nothing; print what --results holds.")
@click.option("--bare", is_flag=True, hidden=True)
@click.option("--weights", type=click.Path(path_type=Path), hidden=True)
@click.option("--pictures", type=click.Path(path_type=Path), hidden=True)
@click.option("--preset", type=click.Choice(sorted(PRESETS)), hidden=True)
def main(
    seconds: float,
    device: str,
    results: Path | None,
    report: Path | None,
    only_print: bool,
    bare: bool,
    weights: Path | None,
    pictures: Path | None,
    preset: str | None,
) -> None:
    """Measure suggestions a second by number of workers, and print a table."""
    if bare and weights and pictures and preset:
        print(json.dumps(bare_loop(weights, pictures, preset, seconds)))
        return
    if report:
        around(report, SECTION)  # raises now, not after the measurement
    found = read_results(results)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        folder.mkdir()
        for number, content in enumerate(draw_pictures()):
            (folder / f"{number:03}.jpg").write_bytes(content)
        remaining = () if only_print else missing(found, device)
        for setup, workers, only_bare in remaining:
            file = Path(name) / f"{setup.arch}.safetensors"
            if not file.exists():
                save_random_network(file, setup.arch)
            found.append(measure(setup, file, folder, workers, seconds, only_bare=only_bare))
            click.echo(f"{found[-1]}", err=True)
            if results:
                with results.open("a") as lines:
                    lines.write(json.dumps(asdict(found[-1])) + "\n")
    text = f"Drawings of {SIZE[0]} × {SIZE[1]} px, weights at random. {as_text(found)}"
    if report:
        put_into(report, text, SECTION)
    print(text)


if __name__ == "__main__":
    main()
