"""Worlds of known truth whose annotations the backend's own recorder judges.

`studies.coverage` draws counts and computes intervals of them. Here the same counts become
suggestions and annotations as Label Studio sends them, and the intervals are those of the report.
"""

import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from backend.agreement.clustered import Estimate, geometric_mean, quantile, ratio, share
from backend.agreement.figures import AgreementReport, measure_agreement
from backend.database.connection import Database
from backend.verdicts.judging import NEAR
from backend.verdicts.records import Filters
from model.keypoint import Box, Detection, Keypoint
from studies.annotation_log import AnnotationLog, Region, Submitted, label_config, moved

SIZES = ((640, 480), (480, 720), (1024, 768))  # px
CLASSES = ("wren", "crow", "finch")  # labels as well: suggestions have the label of their class
ANNOTATORS = 3
EACH = 2  # annotators of an image
GRID = (4, 2)  # suggestions across and down, far enough apart
KEPT, MOVED = 0.7, 0.3  # share of suggestions that are kept, of these moved
DISTANCE, SPREAD = 8.0, 0.4  # px, median of a move; of its logarithm
SECONDS, SECONDS_SPREAD = 10.0, 0.9
NORMAL = NormalDist()

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """What was drawn for one world; a row for each annotation.

    Attributes:
        image, annotator: of each annotation.
        size: (annotations, 2), px.
        kept: (annotations, suggestions).
        distance: the same shape, px; 0 where a point was left in place or deleted.
        seconds: lead time.
    """

    image: NDArray[np.int64]
    annotator: NDArray[np.int64]
    size: NDArray[np.int64]
    kept: NDArray[np.bool_]
    distance: Numbers
    seconds: Numbers

    @classmethod
    def of(cls, random: np.random.Generator, images: int, correlation: float) -> "Drawn":
        """Draw a world; points and times of one image have this correlation, moves have none."""
        image = np.repeat(np.arange(images), EACH)
        people = [random.choice(ANNOTATORS, EACH, replace=False) + 1 for _ in range(images)]
        points = GRID[0] * GRID[1]
        chance = np.full(images, KEPT)
        if correlation:
            size = (1 - correlation) / correlation
            chance = random.beta(KEPT * size, (1 - KEPT) * size, images)
        kept = random.random((len(image), points)) < chance[image][:, None]
        away = kept & (random.random(kept.shape) < MOVED)
        logarithm = SPREAD * random.standard_normal(kept.shape)
        shared, own = random.standard_normal(images)[image], random.standard_normal(len(image))
        common, apart = math.sqrt(correlation), math.sqrt(1 - correlation)
        return cls(
            image=image,
            annotator=np.concatenate(people),
            size=np.array(SIZES)[random.integers(len(SIZES), size=images)][image],
            kept=kept,
            distance=np.where(away, DISTANCE * np.exp(logarithm), 0.0),
            seconds=SECONDS * np.exp(SECONDS_SPREAD * (common * shared + apart * own)),
        )

    def estimates(self) -> dict[str, Estimate]:
        """Compute the figures from what was drawn."""
        untouched, points = self.kept & (self.distance == 0), self.kept.shape[1]
        near = self.kept & (self.distance <= NEAR * self.size.max(axis=1)[:, None])
        far = self.distance > 0

        def total(values: NDArray[np.bool_], rows: NDArray[np.bool_] | None = None) -> Numbers:
            weights = values.sum(axis=1) if rows is None else values.sum(axis=1) * rows
            return np.bincount(self.image, weights).astype(np.float64)

        everything = np.ones_like(self.kept)
        of_class = self.image % len(CLASSES) == 0
        of_one = self.annotator == 1
        return {
            "acceptance": share(total(untouched), total(everything)),
            "acceptance of a label": share(total(untouched, of_class), total(everything, of_class)),
            "acceptance of an annotator": share(
                total(untouched, of_one), total(everything, of_one)
            ),
            "F1": ratio(
                2 * total(near), points * np.bincount(self.image) + total(self.kept), scale="share"
            ),
            "median displacement": quantile(
                self.distance[far], np.repeat(self.image, far.sum(axis=1)), 0.5
            ),
            "geometric mean of seconds": geometric_mean(self.seconds, self.image),
        }

    def record(self, log: AnnotationLog, random: np.random.Generator) -> None:
        """Store suggestions and annotations, and have them judged."""
        for number in range(len(self.image)):
            task = int(self.image[number]) + 1
            if number % EACH == 0:
                width, height = self.size[number].tolist()
                points = tuple(
                    Keypoint(width * (0.5 + x) / GRID[0], height * (0.5 + y) / GRID[1], 0.5, "")
                    for x in range(GRID[0])
                    for y in range(GRID[1])
                )
                name = CLASSES[(task - 1) % len(CLASSES)]
                box = Box(0, 0, width, height)
                regions = log.predict(task, Detection(name, 0.9, points, width, height, box), "v")
            log.submit(self._submitted(number, task, regions, random))
        log.record()

    def _submitted(
        self, number: int, task: int, regions: list[Region], random: np.random.Generator
    ) -> Submitted:
        points = [region for region in regions if region["type"] == "keypointlabels"]
        others = [region for region in regions if region["type"] != "keypointlabels"]
        result = []
        for region, kept, distance in zip(
            points, self.kept[number], self.distance[number], strict=True
        ):
            if kept:
                angle = random.uniform(0, 2 * math.pi)
                dx, dy = float(distance) * math.cos(angle), float(distance) * math.sin(angle)
                result.append(moved(region, dx, dy) if distance else region)
        annotator, seconds = int(self.annotator[number]), float(self.seconds[number])
        return Submitted(
            task, number + 1, annotator, [*result, *others], seconds, float(number), True
        )


def truths() -> dict[str, float]:
    """Return the true figures."""
    radii = [NEAR * max(size) for size in SIZES]
    far = [1 - NORMAL.cdf(math.log(radius / DISTANCE) / SPREAD) for radius in radii]
    near = 1 - MOVED * sum(far) / len(far)
    accepted = KEPT * (1 - MOVED)
    return {
        "acceptance": accepted,
        "acceptance of a label": accepted,
        "acceptance of an annotator": accepted,
        "F1": 2 * KEPT * near / (1 + KEPT),
        "median displacement": DISTANCE,
        "geometric mean of seconds": SECONDS,
    }


def reported(report: AgreementReport) -> dict[str, Estimate]:
    """Take the same figures from a report."""
    overall = report.overall.figures
    labels = {each.name: each.figures for each in report.by.label}
    annotators = {each.name: each.figures for each in report.by.annotator}
    return {
        "acceptance": overall.agreement.acceptance.untouched,
        "acceptance of a label": labels[CLASSES[0]].acceptance.untouched,
        "acceptance of an annotator": annotators["1"].agreement.acceptance.untouched,
        "F1": overall.agreement.f1,
        "median displacement": overall.agreement.displacement_px.median,
        "geometric mean of seconds": overall.lead_time.geometric_mean,
    }


@dataclass(frozen=True, slots=True)
class RecordedCoverage:
    """How often the report's interval of one figure holds the truth.

    Attributes:
        given: worlds that have an interval.
        covered, direct: shares of them whose interval holds the truth: that of the report, and that
            computed from what was drawn.
        largest_difference: of an end of the two intervals, relative.
    """

    figure: str
    given: int
    covered: float
    direct: float
    largest_difference: float


def recorded_estimates(
    worlds: int, images: int, correlation: float, seed: int
) -> Iterator[tuple[Mapping[str, Estimate], Mapping[str, Estimate]]]:
    """Yield for each world the figures of the report, and those of what was drawn."""
    with tempfile.TemporaryDirectory(prefix="worlds-") as folder:
        empty, file = Path(folder) / "empty.sqlite3", Path(folder) / "world.sqlite3"
        with closing(Database(f"sqlite:///{empty}")) as database:
            database.migrate()
        for number in range(worlds):
            random = np.random.default_rng([seed, number])
            drawn = Drawn.of(random, images, correlation)
            shutil.copy(empty, file)
            with closing(Database(f"sqlite:///{file}")) as database:
                drawn.record(AnnotationLog(database, label_config(CLASSES, CLASSES)), random)
                yield reported(measure_agreement(database, Filters())), drawn.estimates()
            for each in Path(folder).glob("world.sqlite3*"):
                each.unlink()


def recorded_coverage(
    worlds: int, images: int, correlation: float, seed: int
) -> list[RecordedCoverage]:
    """Measure the coverage of the report's intervals, and compare them with the direct ones."""
    found = list(recorded_estimates(worlds, images, correlation, seed))
    return [
        _coverage(name, truth, [(ours[name], direct[name]) for ours, direct in found])
        for name, truth in truths().items()
    ]


def _coverage(name: str, truth: float, pairs: list[tuple[Estimate, Estimate]]) -> RecordedCoverage:
    given = [(ours, direct) for ours, direct in pairs if ours.low is not None]
    differences = [_difference(ours, direct) for ours, direct in pairs]
    return RecordedCoverage(
        name,
        len(given),
        _share(_holds(ours, truth) for ours, _ in given),
        _share(_holds(direct, truth) for _, direct in given),
        max(differences, default=math.nan),
    )


def _holds(estimate: Estimate, truth: float) -> bool:
    assert estimate.low is not None and estimate.high is not None, "chosen so"
    return estimate.low <= truth <= estimate.high


def _share(held: Iterable[bool]) -> float:
    found = list(held)
    return sum(found) / len(found) if found else math.nan


def _difference(ours: Estimate, direct: Estimate) -> float:
    """Return the largest relative difference of value and ends; infinite where one has none."""
    pairs = [(ours.value, direct.value), (ours.low, direct.low), (ours.high, direct.high)]
    return max(
        0.0 if a is b else math.inf if a is None or b is None else abs(a - b) / max(abs(b), 1e-9)
        for a, b in pairs
    )


def table(rows: Iterable[RecordedCoverage]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| figure | worlds with an interval | report | direct | largest relative difference |"
    yield "|---|---|---|---|---|"
    for row in rows:
        yield (
            f"| {row.figure} | {row.given} | {100 * row.covered:.1f} | {100 * row.direct:.1f} "
            f"| {row.largest_difference:.0e} |"
        )
