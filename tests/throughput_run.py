"""How many images a second a deployment makes suggestions for, against the bare detector.

    python tests/throughput_run.py --report docs/performance.md

Rounds of a bare loop in one process, and of `serve` with real processes, a Redis and SQLite, which
fetches its images from a stand-in of Label Studio and delivers to it over real HTTP. Both run in
turn, so that what else the machine does weighs on both; the ratios are medians of the rounds. A
heavier network shows what a service adds where detection takes longer.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import click
import requests
from fault_run import OwnRedis, wait_for
from label_studio_fake import CONFIG, TOKEN, UID, LabelStudioFake
from loopback_server import loopback_server
from PIL import Image
from serving import Serving, serving
from sqlalchemy import select

from backend.database.connection import Database
from backend.settings import Settings
from backend.suggestions.maps import MAPS_PER_VERSION
from backend.suggestions.tables import predictions
from studies.marked_section import around, put_into

ROOT = Path(__file__).parent.parent
NICENESS = ["nice", "-n", "5"]  # as the workers of `serve`
PICTURES = 40  # different ones; tasks show them in turn
SIZE = (800, 600)
LIGHT, HEAVY = "squeezenet1_1", "resnet18"
WARM_UP = MAPS_PER_VERSION  # the maps of the first images are kept, which takes time
GIVES_UP_SECONDS = 180.0
BATCHES = (1, 2, 4, 8)
BUSY = "while True: pass"
SECTION, HEAVY_SECTION = "throughput", "throughput of a heavy network"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class TimedLabelStudio(LabelStudioFake):
    """A stand-in that notes when each prediction came.

    Attributes:
        stored_at: monotonic times, s.
    """

    stored_at: list[float] = field(default_factory=list)

    def store(self, task_id: int, prediction: dict[str, Any]) -> int:
        key = super().store(task_id, prediction)
        self.stored_at.append(time.monotonic())
        return key


@dataclass(frozen=True)
class Speed:
    """What one run reached.

    Attributes:
        rate: images a second.
        processor: seconds of processor time an image, of the processes that decode and detect.
        memory: MiB that the workers hold together, without what they share; None if unknown.
    """

    rate: float
    processor: float
    memory: float | None = None


def draw_pictures() -> list[bytes]:
    """JPEG files of drawings, the same in every run."""
    from drawings.drawing import draw

    found = []
    for index in range(PICTURES):
        file = io.BytesIO()
        Image.fromarray(draw(index, SIZE).image).save(file, "JPEG", quality=90)
        found.append(file.getvalue())
    return found


def save_random_network(path: Path, arch: str = LIGHT) -> Path:
    """Save a network of torchvision with random weights."""
    import torch

    from model.networks import (
        IMAGENET_CLASSES,
        IMAGENET_MEAN,
        IMAGENET_STD,
        Classifier,
        build_network,
        save_classifier,
    )

    torch.manual_seed(0)
    network = build_network(arch, IMAGENET_CLASSES)
    names = tuple(map(str, range(IMAGENET_CLASSES)))
    values = (224, IMAGENET_MEAN, IMAGENET_STD)
    save_classifier(Classifier(network, arch, names, *values), path)
    return path


# The bare detector, which this file runs as a process of its own


def bare_loop(weights: Path, folder: Path, images: int, threads: int) -> Speed:
    """Decode and detect in a loop."""
    import torch

    from model.decoding import decode
    from model.detector import Detector
    from model.networks import load_classifier

    torch.set_num_threads(threads)
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    detector = Detector(load_classifier(None, str(weights)))

    def detect(count: int) -> None:
        for number in range(count):
            detector.detect(decode(files[number % len(files)], max_pixels=50_000_000))

    detect(WARM_UP)
    began, processor = time.monotonic(), time.process_time()
    detect(images)
    took, used = time.monotonic() - began, time.process_time() - processor
    return Speed(images / took, used / images)


def time_of_batches(weights: Path) -> dict[int, float]:
    """Processor seconds an image of a forward pass, by the number of images in it."""
    import torch

    from model.networks import load_classifier

    torch.set_num_threads(1)
    network = load_classifier(None, str(weights)).network
    found: dict[int, list[float]] = {size: [] for size in BATCHES}
    with torch.inference_mode():
        for repetition in range(4):
            for size in BATCHES:
                pixels = torch.zeros(size, 3, 224, 224)
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                began = time.thread_time()
                for _ in range(max(BATCHES) // size):
                    network(pixels)
                if repetition:
                    found[size].append((time.thread_time() - began) / max(BATCHES))
    return {size: median(each) for size, each in found.items()}


def in_process(weights: Path, *options: object) -> Any:
    """Run this file with options in a process of its own, and return the JSON that it prints."""
    command = [*NICENESS, sys.executable, __file__, "--weights", str(weights), *map(str, options)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    return json.loads(done.stdout)


def run_bare(weights: Path, folder: Path, images: int, threads: int) -> Speed:
    """Run the bare loop in a process of its own."""
    options = ("--pictures", folder, "--images", images, "--bare", threads)
    return Speed(**in_process(weights, *options))


def run_two_bare(weights: Path, folder: Path, images: int) -> Speed:
    """Run two bare loops side by side, which begin at the same time."""
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run_bare, weights, folder, images, 1) for _ in range(2)]
        first, second = (run.result() for run in runs)
    return Speed(first.rate + second.rate, (first.processor + second.processor) / 2)


# The service


@contextmanager
def deployment(
    folder: Path, weights: Path, images: Sequence[bytes], tasks: int, variables: dict[str, str]
) -> Iterator[tuple[Serving, TimedLabelStudio]]:
    """Run `serve` beside a stand-in of Label Studio, until the block ends."""
    fake, redis = TimedLabelStudio(), OwnRedis()
    for number in range(1, tasks + 1):
        fake.add_task(number, images[number % len(images)])
    redis.start()
    try:
        with loopback_server(fake.handle, keeps_open=True) as server:
            fake.url = server.url
            environment = {
                "REDIS_URL": redis.url,
                "LABEL_STUDIO_URL": fake.url,
                "LABEL_STUDIO_API_KEY": TOKEN,
                "MODEL_WEIGHTS": str(weights),
                "TRAINING_WORKERS": "0",
                "PREDICT_WAIT_BATCH": "0",
                "SUGGEST": "always",
                **variables,
            }
            with serving(folder / "data", environment) as serve:
                yield serve, fake
    finally:
        redis.kill()


def run_service(
    weights: Path,
    files: Sequence[bytes],
    images: int,
    workers: int | None,
    image_seconds: float = 0.0,
) -> Speed:
    """Have suggestions made and delivered, and return how fast that was.

    Args:
        workers: number of detection workers; None for as many as `serve` chooses.
        image_seconds: that Label Studio needs to hand out an image.
    """
    with tempfile.TemporaryDirectory() as name:
        return _run_service(Path(name), weights, files, images, workers, image_seconds)


def _run_service(
    folder: Path,
    weights: Path,
    files: Sequence[bytes],
    images: int,
    workers: int | None,
    image_seconds: float,
) -> Speed:
    variables = {} if workers is None else {"DETECTION_WORKERS": str(workers)}
    with deployment(folder, weights, files, WARM_UP + images, variables) as (serve, fake):
        tasks = list(fake.tasks.values())
        fake.image_seconds = image_seconds
        assert wait_for(lambda: serve.words().count(": Ready\n") >= (workers or 1), 120), (
            serve.words()
        )
        request(serve, fake, tasks[:WARM_UP])
        assert wait_for(lambda: len(fake.stored_at) == WARM_UP, 60), serve.words()
        detecting = serve.pids("backend worker")
        pids = [*detecting, *serve.pids("decoding_process")]
        before = processor_seconds(pids)
        request(serve, fake, tasks[WARM_UP:])
        complete = wait_for(lambda: len(fake.stored_at) >= len(tasks), GIVES_UP_SECONDS)
        assert complete, f"{len(fake.stored_at)} of {len(tasks)}: {serve.words()}"
        used = processor_seconds(pids) - before
        took = seconds_between_first_and_last(serve.folder, tasks[WARM_UP:])
        memory = sum(map(own_memory, detecting))
        assert all(len(fake.of_task(task["id"])) == 1 for task in tasks)
    return Speed((images - 1) / took, used / images, memory)


def seconds_between_first_and_last(folder: Path, tasks: Sequence[dict[str, Any]]) -> float:
    """Seconds in which the suggestions of tasks were made, after that of the first one."""
    database = Database(Settings(data_dir=folder).database)
    ids = [task["id"] for task in tasks]
    query = select(predictions.c.finished_at).where(predictions.c.task_id.in_(ids))
    with database.reading() as connection:
        moments = sorted(connection.scalars(query))
    database.close()
    assert len(moments) == len(tasks)
    return float((moments[-1] - moments[0]).total_seconds())


def request(serve: Serving, fake: LabelStudioFake, tasks: Sequence[dict[str, Any]]) -> None:
    """Ask for the suggestions of tasks at once, as Label Studio does."""
    setup = {"project": UID, "schema": CONFIG, "hostname": fake.url, "access_token": TOKEN}
    requests.post(f"{serve.url}/setup", json=setup, timeout=30).raise_for_status()
    body = {"tasks": list(tasks), "project": UID, "label_config": CONFIG}
    answer = requests.post(f"{serve.url}/predict", json=body, timeout=100)
    answer.raise_for_status()
    fake.store_answers(list(tasks), answer.json()["results"])


def processor_seconds(pids: Sequence[int]) -> float:
    """Seconds of processor time that processes have used, all their threads together."""
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / TICKS


def own_memory(pid: int) -> float:
    """MiB that would be free if a process ended; files that it maps, and others too, left out."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    own = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
    return sum(own) / 1024


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep processor cores busy inside the block."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


# All of it, round after round


@dataclass(frozen=True)
class Case:
    """One of the set-ups that are compared.

    Attributes:
        name: as the table has it.
        run: returns its speed, given the number of images.
        share: of the images that this case gets, where it is slow.
        neighbours: number of busy processes beside it.
    """

    name: str
    run: Callable[[int], Speed]
    share: float = 1.0
    neighbours: int = 0


BARE, ONE, TWO = "bare loop, 1 thread", "service, 1 worker", "service, 2 workers"
TWO_BARE = "2 bare loops side by side, 1 thread each"
BESIDE = "beside 2 busy processes: "


def cases(weights: Path, folder: Path) -> list[Case]:
    """The set-ups, in the order in which each round runs them; the first four make the ratios."""
    files = [path.read_bytes() for path in sorted(folder.iterdir())]

    def bare(threads: int) -> Callable[[int], Speed]:
        return lambda images: run_bare(weights, folder, images, threads)

    def service(workers: int | None, seconds: float = 0.0) -> Callable[[int], Speed]:
        return lambda images: run_service(weights, files, images, workers, seconds)

    return [
        Case(BARE, bare(1)),
        Case(ONE, service(1)),
        Case(TWO, service(2)),
        Case(TWO_BARE, lambda images: run_two_bare(weights, folder, images)),
        Case("bare loop, 2 threads", bare(2)),
        Case(f"{ONE}, images that take 0.1 s to come", service(1, 0.1)),
        Case(f"{BESIDE}bare loop, 1 thread", bare(1), 0.5, neighbours=2),
        Case(f"{BESIDE}bare loop, 2 threads", bare(2), 0.2, neighbours=2),
        Case(f"{BESIDE}service as it starts by default", service(None), neighbours=2),
    ]


def as_table(found: dict[str, list[Speed]]) -> str:
    """Return what was measured as a table in Markdown; of several rounds the medians."""
    lines = [
        "| set-up | images a second | of the bare loop | processor ms an image | MiB of workers |",
        "|---|---|---|---|---|",
    ]
    for name, speeds in found.items():
        shares = [each.rate / bare.rate for each, bare in zip(speeds, found[BARE], strict=False)]
        memory = [each.memory for each in speeds if each.memory is not None]
        lines.append(
            f"| {name} | {median(each.rate for each in speeds):.2f} | {median(shares):.2f} "
            f"| {1000 * median(each.processor for each in speeds):.0f} "
            f"| {f'{median(memory):.0f}' if memory else '–'} |"
        )
    return "\n".join(lines)


def ratios_in_words(found: dict[str, list[Speed]]) -> str:
    """Return how the service compares with the bare loop, and two workers with one."""
    rounds = list(zip(found[BARE], found[ONE], found[TWO], found[TWO_BARE], strict=False))
    overhead = [bare.rate / one.rate - 1 for bare, one, _, _ in rounds]
    scaling = [two.rate / one.rate for _, one, two, _ in rounds]
    ideal = median(both.rate / bare.rate for bare, _, _, both in rounds)
    extra = median(one.processor - bare.processor for bare, one, _, _ in rounds)
    return (
        f"One worker takes {median(overhead):.1%} longer an image than the bare loop (rounds: "
        f"{', '.join(f'{each:.1%}' for each in overhead)}). A worker and its decoding process use "
        f"{1000 * extra:.0f} ms more processor time an image than the bare loop. Two workers make "
        f"{median(scaling):.2f} times as many as one (rounds: "
        f"{', '.join(f'{each:.2f}' for each in scaling)}); two bare loops make {ideal:.2f} times "
        "as many as one."
    )


def batches_in_words(batches: dict[int, float]) -> str:
    """Return what is gained by several images in one forward pass."""
    first = batches[min(batches)]
    sizes = ", ".join(f"{size}: {first / each:.2f}" for size, each in batches.items())
    return (
        f"Speed of the network's forward pass with several images at once, one alone = 1: {sizes}."
    )


def measure(chosen: Sequence[Case], images: int, rounds: int) -> dict[str, list[Speed]]:
    """Measure set-ups round after round; return what each reached in every round."""
    found: dict[str, list[Speed]] = {}
    for number in range(1, rounds + 1):
        for case in chosen:
            found.setdefault(case.name, []).append(run_case(case, images, number))
    return found


def conditions_in_words(images: int, rounds: int) -> str:
    """Return under which conditions something was measured."""
    load = os.getloadavg()[1]
    return (
        f"Measured on {os.cpu_count()} cores, {images} images of {SIZE[0]} × {SIZE[1]} px a run, "
        f"medians of {rounds} rounds; load of the machine at the end {load:.1f}, of which about 1 "
        "to 2 is the measurement itself."
    )


def measure_light(weights: Path | None, folder: Path, images: int, rounds: int) -> str:
    """Measure every set-up with a light network; return text for the document."""
    weights = weights or save_random_network(folder.parent / "light.safetensors")
    found = measure(cases(weights, folder), images, rounds)
    sizes = {int(size): each for size, each in in_process(weights, "--batches").items()}
    words = f"{ratios_in_words(found)} {batches_in_words(sizes)}"
    return f"{conditions_in_words(images, rounds)}\n\n{as_table(found)}\n\n{words}"


def measure_heavy(folder: Path, images: int, rounds: int) -> str:
    """Measure what makes the ratios with a heavy network, in more and shorter rounds."""
    weights = save_random_network(folder.parent / "heavy.safetensors", HEAVY)
    images, rounds = max(WARM_UP, images // 3), 2 * rounds
    found = measure(cases(weights, folder)[:4], images, rounds)
    words = f"{as_table(found)}\n\n{ratios_in_words(found)}"
    return f"{conditions_in_words(images, rounds)}\n\n{words}"


def run_case(case: Case, images: int, number: int) -> Speed:
    """Run a set-up once, in one of the rounds."""
    with busy(case.neighbours):
        speed = case.run(max(WARM_UP, round(images * case.share)))
    click.echo(f"round {number}: {case.name}: {speed}", err=True)
    return speed


@click.command()
@click.option("--images", default=100, show_default=True, help="Of each run.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--weights", type=click.Path(path_type=Path), help="Default: random ones.")
@click.option("--heavy", is_flag=True, help="Measure with a heavy network, for half of the time.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the result into this file.")
@click.option("--pictures", type=click.Path(path_type=Path), hidden=True)
@click.option("--bare", type=int, hidden=True)
@click.option("--batches", is_flag=True, hidden=True)
def main(
    images: int,
    rounds: int,
    weights: Path | None,
    heavy: bool,
    report: Path | None,
    pictures: Path | None,
    bare: int | None,
    batches: bool,
) -> None:
    """Measure how fast suggestions are made and delivered, and print a table."""
    if weights and pictures and bare:
        print(json.dumps(asdict(bare_loop(weights, pictures, images, bare))))
        return
    if weights and batches:
        print(json.dumps(time_of_batches(weights)))
        return
    section = HEAVY_SECTION if heavy else SECTION
    if report:
        around(report, section)  # raises now, not after the measurement
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "pictures"
        folder.mkdir()
        for number, content in enumerate(draw_pictures()):
            (folder / f"{number:03}.jpg").write_bytes(content)
        if heavy:
            text = measure_heavy(folder, images, rounds)
        else:
            text = measure_light(weights, folder, images, rounds)
    if report:
        put_into(report, text, section)
    print(text)


if __name__ == "__main__":
    main()
