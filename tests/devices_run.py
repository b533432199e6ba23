"""Compare the keypoints that a GPU finds with those that the processor finds.

    python tests/devices_run.py --pictures photos --report docs/scaling.md

Each network and preset detects in processes of its own: one on the GPU, and several on the
processor, which share the pictures. `test_devices` runs it in a short form.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from PIL import Image
from serving import ROOT
from throughput_run import save_random_network

from model.matching import match_points
from model.settings import PRESETS
from studies.marked_section import around, put_into

SECTION = "on both devices"
SAME = 0.5  # px: a point this near is found again
DRAWN = 24  # pictures, without a folder of them
SIZES = ((800, 600), (640, 640), (480, 720))


@dataclass(frozen=True)
class Found:
    """What a detector found on a picture.

    Attributes:
        points: (x, y), best first; px of the picture.
    """

    class_name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Run:
    """What a process found on its pictures.

    Attributes:
        memory: MiB that the GPU's allocator held after half of the pictures, and after all.
    """

    found: list[Found]
    memory: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Agreement:
    """How far two runs agree.

    Attributes:
        classes: pictures on which both see the same class.
        again: points of the first that the second has within `SAME`.
        largest, median: distances of these, px.
    """

    pictures: int
    classes: int
    first: int
    second: int
    again: int
    largest: float
    median: float


def detect(weights: Path, pictures: Sequence[Path], preset: str, *, tf32: bool) -> Run:
    """Find keypoints on pictures, on the GPU if torch finds one.

    Args:
        tf32: whether a GPU rounds what it multiplies to TF32, as it would by default.
    """
    import torch

    from model.decoding import decode
    from model.detector import Detector
    from model.networks import load_classifier

    torch.set_num_threads(1)
    detector = Detector(load_classifier(None, str(weights)), PRESETS[preset])
    torch.backends.cudnn.allow_tf32 = tf32
    found, memory = [], []
    for path in pictures:
        detection = detector.detect(decode(path.read_bytes(), max_pixels=50_000_000))
        points = [(point.x, point.y) for point in detection.keypoints]
        found.append(Found(detection.class_name, points))
        reserved = torch.cuda.memory_reserved() if torch.cuda.is_available() else 0
        memory.append(reserved / 2**20)
    return Run(found, (memory[len(memory) // 2], memory[-1]))


def run(
    weights: Path,
    pictures: Sequence[Path],
    preset: str,
    *,
    gpu: bool,
    tf32: bool = False,
    processes: int = 1,
) -> Run:
    """Run `detect` in processes of their own, each on a part of the pictures."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    if not gpu:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, __file__, "--detect", "--weights", str(weights), "--preset", preset]
    command += ["--tf32"] if tf32 else []

    def part(paths: Sequence[Path]) -> Run:
        given = json.dumps([str(path) for path in paths])
        done = subprocess.run(
            command,
            input=given.encode(),
            stdout=subprocess.PIPE,
            env=environment,
            cwd=ROOT,
            check=True,
        )
        values = json.loads(done.stdout)
        found = [
            Found(each["class_name"], [(x, y) for x, y in each["points"]])
            for each in values["found"]
        ]
        return Run(found, tuple(values["memory"]))

    count = min(processes, len(pictures))
    cuts = [len(pictures) * number // count for number in range(count + 1)]
    with ThreadPoolExecutor(count) as pool:
        parts = list(pool.map(part, [pictures[a:b] for a, b in pairwise(cuts)]))
    found = [each for run in parts for each in run.found]
    return Run(found, parts[-1].memory)


def compare(first: Sequence[Found], second: Sequence[Found]) -> Agreement:
    """Compare what two runs found on the same pictures."""
    distances: list[float] = []
    for one, other in zip(first, second, strict=True):
        here, there = (np.array(each.points).reshape(-1, 2) for each in (one, other))
        pairs = match_points(here, there, SAME)
        distances += np.linalg.norm(here[pairs[:, 0]] - there[pairs[:, 1]], axis=1).tolist()
    return Agreement(
        pictures=len(first),
        classes=sum(a.class_name == b.class_name for a, b in zip(first, second, strict=True)),
        first=sum(len(each.points) for each in first),
        second=sum(len(each.points) for each in second),
        again=len(distances),
        largest=max(distances, default=0.0),
        median=float(np.median(distances)) if distances else 0.0,
    )


def draw_into(folder: Path, count: int) -> list[Path]:
    """Write drawings of several sizes, the same in every run."""
    from drawings.drawing import draw

    paths = []
    for number in range(count):
        paths.append(folder / f"{number:03}.png")
        Image.fromarray(draw(number, SIZES[number % len(SIZES)]).image).save(paths[-1])
    return paths


HEADER = (
    "| network, preset | convolutions on the GPU | pictures | same class "
    "| points on the processor, on the GPU | found again within 0.5 px "
    "| largest distance of these, px | median "
    "| MiB of the GPU at half, at the end |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def row(name: str, precision: str, cpu: Run, gpu: Run) -> str:
    """Return a row of the table."""
    both = compare(cpu.found, gpu.found)
    return (
        f"| {name} | {precision} | {both.pictures} | {both.classes} | {both.first}, {both.second} "
        f"| {both.again / both.first:.2%} | {both.largest:.1e} | {both.median:.1e} "
        f"| {gpu.memory[0]:.0f}, {gpu.memory[1]:.0f} |"
    )


def measure(networks: dict[str, Path], pictures: Sequence[Path], processes: int) -> list[str]:
    """Compare both devices for each network and preset; returns rows of the table."""
    rows = []
    for preset in sorted(PRESETS):
        for name, weights in networks.items():
            with ThreadPoolExecutor() as pool:
                kinds = {"float32": False, "TF32 (not used)": True}
                on_gpu = {
                    precision: pool.submit(run, weights, pictures, preset, gpu=True, tf32=tf32)
                    for precision, tf32 in kinds.items()
                }
                cpu = run(weights, pictures, preset, gpu=False, processes=processes)
            for precision, found in on_gpu.items():
                rows.append(row(f"{name}, {preset}", precision, cpu, found.result()))
                click.echo(rows[-1], err=True)
    return rows


@click.command()
@click.option("--pictures", type=click.Path(path_type=Path), help="A folder; default: drawings.")
@click.option("--weights", type=click.Path(path_type=Path), help="Of SqueezeNet; default: random.")
@click.option("--processes", default=1, show_default=True, help="On the processor.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the table into this file.")
@click.option("--detect", "detects", is_flag=True, hidden=True)
@click.option("--preset", type=click.Choice(sorted(PRESETS)), hidden=True)
@click.option("--tf32", is_flag=True, hidden=True)
def main(
    pictures: Path | None,
    weights: Path | None,
    processes: int,
    report: Path | None,
    detects: bool,
    preset: str | None,
    tf32: bool,
) -> None:
    """Compare the keypoints of GPU and processor, and print a table."""
    if detects and weights and preset:
        paths = [Path(name) for name in json.load(sys.stdin)]
        print(json.dumps(asdict(detect(weights, paths, preset, tf32=tf32))))
        return
    if report:
        around(report, SECTION)
    from scaling_run import machine

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = (
            sorted(path for path in pictures.iterdir()) if pictures else draw_into(folder, DRAWN)
        )
        networks = {
            "squeezenet1_1": weights or save_random_network(folder / "light.safetensors"),
            "vgg19": save_random_network(folder / "heavy.safetensors", "vgg19"),
        }
        rows = measure(networks, files, processes)
    text = f"On {machine()}, {len(files)} pictures:\n\n" + "\n".join([HEADER, *rows])
    if report:
        put_into(report, text, SECTION)
    print(text)


if __name__ == "__main__":
    main()
