"""The command `python -m studies learning-times`: what the backend takes to learn and to name.

Images are learnt one after the other without a rectangle, as a worker learns them, into a database
of its own; only fetching and decoding them is left out.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import click
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from backend.database.connection import Database
from backend.labelstudio.projects import ProjectStorage
from backend.learning.backbones import Backbone, Backbones
from backend.learning.looks import describe_example, looks_at
from backend.learning.named_points import NamedPoints
from backend.learning.queries import due_examples
from backend.learning.records import WHOLE_IMAGE, Example, Lesson, Step
from backend.learning.storage import ExampleStorage, replace_lessons
from backend.settings import Settings
from backend.suggestions.seen_object import SeenObject
from model.commands.classifier_options import classifier_options
from model.decoding import read
from model.keypoint import Box, Detection
from model.networks import load_classifier
from studies.agreement_measure import peak_mb
from studies.benchmark_report import processor
from studies.data_options import AT_LEAST_ONE, data_option
from studies.evaluation.datasets import Annotated, read_data_set
from studies.marked_section import around, put_into

SECTION = "by learning-times"
UID = "1.1795347724"
TIMED = 20  # the last images to be learnt, and the images to be named
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Times:
    """Medians over images: s of one core, and kB that are stored of an image.

    Attributes:
        learn: to look twice at an image, find the object, and store what was seen.
        fit_region, fit_close: what a step takes in each worker, once.
        name: a new image, with both looks.
        network: both looks of an image, which take part in `learn`, `name` and `first_answer`.
        first_answer: to the first landmark placed on an image that was not seen before.
        next_answer: to the second one.
        peak_mb: most memory that the process has held so far, MB.
    """

    images: int
    labels: int
    kilobytes: float
    learn: float
    fit_region: float
    fit_close: float
    name: float
    network: float
    first_answer: float
    next_answer: float
    peak_mb: float


def timed(do: Callable[[], Found]) -> tuple[float, Found]:
    """Return the seconds of the processor that a call takes, and what it returns."""
    begin = time.process_time()
    found = do()
    return time.process_time() - begin, found


class Project:
    """A project without rectangles, and the worker that learns it."""

    def __init__(self, database: Database, backbone: Backbone, labels: Sequence[str]) -> None:
        self.database, self.backbone, self.labels = database, backbone, labels
        settings = Settings()
        self._limit = settings.learn_examples
        self._examples = ExampleStorage(database, limit=self._limit)
        self.named = NamedPoints(settings, database)
        ProjectStorage(database).save_label_config(UID, "<View/>")

    def learn(self, number: int, images: Sequence[Annotated]) -> tuple[float, int]:
        """Learn the image of a task; return the seconds, and how many bytes are stored of it.

        Once as many are kept as may be, another example may be looked at as well, or none.

        Args:
            images: those of task 1, 2, ..., over and over.
        """
        image = images[(number - 1) % len(images)]
        height, width = read(image.path).shape[:2]
        points = points_of(image)
        absent = [label for label in self.labels if label not in points]
        lesson = Lesson(
            WHOLE_IMAGE, number, image.name, width, height, None, "", points, absent, None
        )
        with self.database.writing() as connection:
            made = {datetime.now(UTC): [lesson]}
            replace_lessons(connection, UID, number, made, limit=self._limit)
        seconds, _ = timed(lambda: self._examples.select(UID))
        stored = 0
        for example_id, _ in due_examples(self.database, newest=True).first(UID, 2):
            example = self._examples.start_attempt(example_id)
            assert example is not None
            picture = read(images[(example.task_id - 1) % len(images)].path)
            looked, stored = timed(partial(self._look, example, picture))
            seconds += looked
        return seconds, stored

    def _look(self, example: Example, picture: NDArray[np.uint8]) -> int:
        described = describe_example(
            self.backbone.extractor,
            picture,
            None,
            list(example.points.values()),
            lambda: self.named.current_region(self.backbone, UID),
        )
        assert self._examples.finish(example, self.backbone.extractor.key, described)
        return len(described.close) + len(described.whole or b"")

    def step(self) -> Step:
        """Return the current step."""
        step = self.named.step(self.backbone, UID)
        assert step is not None, "images were learnt before"
        return step

    def name(self, picture: NDArray[np.uint8]) -> int:
        """Name the landmarks of a new image, and return how many there are."""
        looks = looks_at(self.backbone.extractor, picture, None, None)
        version = self.step().version
        return len(self.named.find(self.backbone, UID, version, looks, self.labels).points)

    def answer(self, seen: SeenObject, given: dict[str, tuple[float, float]]) -> int:
        """Answer to placed landmarks, and return how many others there are."""
        return len(self.named.complete(self.step(), seen.looks, given, self.labels))


def points_of(image: Annotated) -> dict[str, tuple[float, float]]:
    """Return label → x and y of the visible landmarks, px."""
    places = zip(image.names, image.landmarks.tolist(), strict=True)
    return {label: (x, y) for label, (x, y) in places}


def measure(
    project: Project, train: Sequence[Annotated], test: Sequence[Annotated], counts: Sequence[int]
) -> list[Times]:
    """Learn the images of `train`, over and over, and measure once so many are learnt.

    Args:
        counts: numbers of images, each time as one more task.
    """
    found: list[Times] = []
    learnt: list[tuple[float, int]] = []
    for number in tqdm(range(1, max(counts) + 1), desc="Learning", unit="image"):
        project.named.step(project.backbone, UID)
        learnt.append(project.learn(number, train))
        if number in counts:
            found.append(_times(project, learnt, test))
    return found


def _times(
    project: Project, learnt: Sequence[tuple[float, int]], test: Sequence[Annotated]
) -> Times:
    """Name the images of `test` with what has been learnt.

    Args:
        learnt: seconds and stored bytes of each image so far.
    """
    step, fits = project.step(), NamedPoints(Settings(), project.database)
    looks = looks_at(project.backbone.extractor, read(test[0].path), None, None)
    fit_region, _ = timed(lambda: fits.region(step))
    with_fit, without_fit = (
        timed(lambda: fits.complete(step, looks, {}, project.labels))[0] for _ in range(2)
    )
    project.name(read(test[0].path))  # fits what the last step has learnt
    pictures = [read(image.path) for image in test]
    named = [timed(partial(project.name, picture))[0] for picture in pictures]
    network = [timed(partial(both_looks, project, picture))[0] for picture in pictures]
    answers = [answer_twice(project, *pair) for pair in zip(test, pictures, strict=True)]
    return Times(
        images=len(learnt),
        labels=len(project.labels),
        kilobytes=median(size for _, size in learnt if size) / 1000,
        learn=median(seconds for seconds, _ in learnt[-TIMED:]),
        fit_region=fit_region,
        fit_close=with_fit - without_fit,
        name=median(named),
        network=median(network),
        first_answer=median(first for first, _ in answers),
        next_answer=median(second for _, second in answers),
        peak_mb=peak_mb(),
    )


def both_looks(project: Project, picture: NDArray[np.uint8]) -> None:
    """Look at the whole picture and at a part of it, and do nothing with what is seen."""
    height, width = picture.shape[:2]
    looks = looks_at(project.backbone.extractor, picture, None, None)
    looks.whole()
    looks.part(Box(width / 4, height / 4, width / 2, height / 2))


def answer_twice(
    project: Project, image: Annotated, picture: NDArray[np.uint8]
) -> tuple[float, float]:
    """Place two landmarks, and return the seconds of both answers."""
    height, width = picture.shape[:2]
    whole = Detection("", 0.0, (), width, height, Box(0, 0, width, height))
    extractor = project.backbone.extractor
    seen = SeenObject(extractor, lambda: picture, picture, whole, None, None)
    placed = sorted(points_of(image).items())
    first, second = (
        timed(partial(project.answer, seen, dict(placed[:count])))[0] for count in (1, 2)
    )
    return first, second


def as_markdown(found: Sequence[Times]) -> str:
    """Return the times as a table with a column for each number of images."""
    lines: list[tuple[str, Callable[[Times], str]]] = [
        ("", lambda each: f"{each.images} images"),
        ("---", lambda _: "---"),
        ("learn an image", lambda each: f"{each.learn:.2f} s"),
        ("name an image", lambda each: f"{each.name:.2f} s"),
        (
            "first interactive answer on an image that was not seen before",
            lambda each: f"{each.first_answer:.2f} s",
        ),
        ("next answer on the same object", lambda each: f"{each.next_answer:.2f} s"),
        ("the network's part of the first three", lambda each: f"{each.network:.2f} s"),
        ("fit of a step, to find objects", lambda each: f"{each.fit_region:.2f} s"),
        ("fit of a step, to name landmarks", lambda each: f"{each.fit_close:.2f} s"),
        ("stored of an image", lambda each: f"{each.kilobytes:.0f} kB"),
        ("most memory of the process so far", lambda each: f"{each.peak_mb:.0f} MB"),
    ]
    table = "\n".join(
        f"| {' | '.join([what, *(value(each) for each in found)])} |" for what, value in lines
    )
    head = f"Processor time with {found[0].labels} labels, on {processor()}, one thread:"
    return f"{head}\n\n{table}\n"


@click.command()
@data_option("Folder with annotations.csv; its split train is learnt, its split test named.")
@classifier_options
@click.option(
    "--images",
    type=AT_LEAST_ONE,
    multiple=True,
    default=(100, 1000),
    show_default=True,
    help="Measure with so many learnt; those of the folder are learnt over and over.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Put the table between its markers in this page.",
)
def learning_times(
    data: Path,
    arch: str | None,
    weights: str | None,
    images: tuple[int, ...],
    report: Path | None,
) -> None:
    """Time what the backend takes to learn, to name and to answer, without rectangles."""
    if report:
        around(report, SECTION)
    torch.set_num_threads(1)
    train, test = (read_data_set(data, split) for split in ("train", "test"))
    backbone = Backbones().of("timed", load_classifier(arch, weights))
    labels = sorted({name for image in train for name in image.names})
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/backend.sqlite3")
        database.migrate()
        project = Project(database, backbone, labels)
        found = measure(project, train, test[:TIMED], images)
        database.close()
    text = as_markdown(found)
    print(text)
    if report:
        put_into(report, text, SECTION)
