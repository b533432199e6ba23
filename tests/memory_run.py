"""Watch the memory of every process of a deployment over thousands of images of many sizes.

    python tests/memory_run.py --report docs/reliability.md

The deployment is `serve` with one detection worker, the embedded Redis and SQLite, and a stand-in
of Label Studio over real HTTP, which sends an event for each image. `test_memory` runs it in a
short form.
"""

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from fault_run import wait_for
from label_studio_fake import TOKEN, label_studio_fake
from load_run import Latencies, LoadedDeployment, send_events
from PIL import Image
from serving import serving
from test_suggestions_detection_job import encoded

from studies.marked_section import around, put_into

SECTION = "memory"
SIZES = ((320, 240), (640, 480), (1200, 900), (2000, 1500), (400, 1600))  # width, height, px
FORMATS = ("JPEG", "PNG", "WEBP")
BATCH = 500  # images that are requested at once; then as many events are sent
EVENTS_A_SECOND = 100
# The figures of the table are the largest of this time, as memory goes up and down.
WINDOW_SECONDS = 10.0


@dataclass(frozen=True)
class Memory:
    """What was seen.

    Attributes:
        seconds: that all of it took.
        largest: number of images → process → largest MB shortly before that many were made.
        doubles: tasks that have more than one prediction in Label Studio.
    """

    seconds: float
    largest: Mapping[int, Mapping[str, float]]
    doubles: int


@contextmanager
def watched(deployment: LoadedDeployment) -> Iterator[list[tuple[float, dict[str, float]]]]:
    """Note the memory of every process once a second inside the block, with its moment, s."""
    seen: list[tuple[float, dict[str, float]]] = []
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(1.0):
            seen.append((time.monotonic(), deployment.memory()))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def run_memory(folder: Path, environment: Mapping[str, str], marks: Sequence[int]) -> Memory:
    """Have images detected, and note the memory when so many are made.

    Args:
        environment: variables of `serve`.
        marks: numbers of images, ascending.
    """
    with ExitStack() as stack:
        fake = stack.enter_context(label_studio_fake())
        variables = {"LABEL_STUDIO_URL": fake.url, "LABEL_STUDIO_API_KEY": TOKEN, "SYNC_EVERY": "0"}
        always = {"SUGGEST": "always", "PREDICT_WAIT_BATCH": "0", "DETECTION_WORKERS": "1"}
        serve = stack.enter_context(serving(folder, {**variables, **always} | environment))
        assert wait_for(lambda: serve.health() and "Ready" in serve.words(), 120), serve.words()
        deployment = LoadedDeployment(fake, serve, b"")
        stack.callback(deployment.database.close)
        images, began = draw_images(), time.monotonic()
        largest: dict[int, dict[str, float]] = {}
        with watched(deployment) as seen:
            for mark in marks:
                for start in range(deployment.made(), mark, BATCH):
                    _make(deployment, images, min(BATCH, mark - start))
                recent = [each for at, each in seen if at > time.monotonic() - WINDOW_SECONDS] or [
                    deployment.memory()
                ]
                roles = sorted({role for each in recent for role in each})
                largest[mark] = {
                    role: max(each.get(role, 0.0) for each in recent) for role in roles
                }
                click.echo(f"{mark} images: {largest[mark]}", err=True)
        numbers = [each["task"] for each in list(fake.predictions)]
        return Memory(time.monotonic() - began, largest, len(numbers) - len(set(numbers)))


def _make(deployment: LoadedDeployment, images: Sequence[bytes], count: int) -> None:
    """Have so many more images made, and send as many events."""
    wanted = deployment.made() + count
    tasks = [deployment.add_task(images[number % len(images)]) for number in range(count)]
    assert deployment.predict(Latencies("/predict"), tasks) is not None
    first = tasks[0]["id"]
    sent = send_events(deployment, EVENTS_A_SECOND, count / EVENTS_A_SECOND, first=first)
    assert sent.failures == 0
    assert wait_for(lambda: deployment.made() >= wanted, 3600), deployment.serve.words()


def draw_images() -> list[bytes]:
    """Return a file of each size in each format."""
    coarse = np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    smooth = [
        np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)) for size in SIZES
    ]
    return [encoded(pixels, kind) for kind in FORMATS for pixels in smooth]


def as_table(found: Memory) -> str:
    """Return the memory as Markdown: a row for each process."""
    marks = list(found.largest)
    roles = list(dict.fromkeys(role for each in found.largest.values() for role in each))
    lines = [
        "| process | " + " | ".join(f"MB after {mark:,}" for mark in marks) + " |",
        "|---" * (1 + len(marks)) + "|",
    ]
    for role in roles:
        cells = " | ".join(f"{found.largest[mark].get(role, 0.0):.0f}" for mark in marks)
        lines.append(f"| {role} | {cells} |")
    return (
        f"{marks[-1]:,} images in {found.seconds:,.0f} s; {found.doubles} tasks have two "
        "suggestions.\n\n" + "\n".join(lines)
    )


@click.command()
@click.option("--weights", help="Weights file; by default, that of `serve`.")
@click.option("--images", default=10_000, show_default=True)
@click.option("--report", type=click.Path(path_type=Path), help="Write the table into this file.")
def main(weights: str | None, images: int, report: Path | None) -> None:
    """Have thousands of images detected, and print what memory every process has meanwhile."""
    if report:
        around(report, SECTION)  # raises now, not after the measurement
    environment = {} if weights is None else {"MODEL_WEIGHTS": weights}
    marks = sorted({max(1, images * share // 100) for share in (1, 10, 25, 50, 75, 100)})
    with tempfile.TemporaryDirectory() as folder:
        table = as_table(run_memory(Path(folder), environment, marks))
    if report:
        put_into(report, table, SECTION)
    print(table)


if __name__ == "__main__":
    main()
