"""A synthetic annotation project of any size, which the backend's own recorder judges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from backend.database.connection import Database
from model.keypoint import Box, Detection, Keypoint
from studies.annotation_log import (
    AnnotationLog,
    Region,
    Submitted,
    added,
    chosen,
    label_config,
    moved,
    rectangle,
    relabelled,
)

POINTS = 20  # verdicts about points, an annotation
ADDED = 2  # of these
ANNOTATIONS = 5  # on every two images
ANNOTATORS = 12
CLASSES = ("wren", "crow", "finch")
LABELS = (*CLASSES, "beak", "crown", "tail", "left wing", "right wing", "eye", "nape")
SIZES = ((640, 480), (480, 640), (800, 600), (1024, 768))  # px
VERSIONS = ("small-1", "small-2")  # the second from the middle of the project on
TWO_VERSIONS = 0.1  # share of images that both predicted
WITHHELD = 0.1  # share of images
RECTANGLES = 0.5  # share of annotations with a rectangle
SPREAD = 0.02  # of a moved point, of the image's sides
ACTIONS = ("keep", "move", "relabel", "move and relabel", "delete")
CHANCES = np.array((0.55, 0.22, 0.05, 0.05, 0.13))
BATCH = 400  # images that are recorded together


@dataclass(frozen=True)
class World:
    """A project with `images` images, drawn with `random`."""

    random: np.random.Generator
    images: int

    def image(self, task_id: int) -> tuple[Detection, str, bool]:
        """Return what was found on an image, by which version, and whether it is withheld."""
        width, height = SIZES[self.random.integers(len(SIZES))]
        x = self.random.uniform(0, width - 1, POINTS - ADDED).tolist()
        y = self.random.uniform(0, height - 1, POINTS - ADDED).tolist()
        scores = np.sort(self.random.random(POINTS - ADDED))[::-1].tolist()
        points = tuple(
            Keypoint(across, down, score, label="")
            for across, down, score in zip(x, y, scores, strict=True)
        )
        found = Detection(
            CLASSES[task_id % len(CLASSES)], 0.9, points, width, height, Box(0, 0, width, height)
        )
        version = VERSIONS[2 * task_id > self.images]
        return found, version, bool(self.random.random() < WITHHELD)

    def annotations(
        self, task_id: int, first: int, regions: Sequence[Region], withheld: bool
    ) -> Iterator[Submitted]:
        """Draw the annotations of an image, whose numbers follow `first`.

        Without suggestions, annotators find nearly the same points, under ids of their own.
        """
        often = self.random.dirichlet(8 * CHANCES)  # points of one image resemble each other
        count = ANNOTATIONS // 2 + (ANNOTATIONS % 2) * (task_id % 2)
        people = self.random.choice(ANNOTATORS, count, replace=False).tolist()
        for number, annotator in enumerate(people, start=first + 1):
            result = list(self._result(number, regions, often))
            if withheld:
                result = [_renamed(region, place) for place, region in enumerate(result)]
            yield Submitted(
                task_id,
                number,
                annotator + 1,
                result,
                float(self.random.lognormal(3, 0.7)),
                minutes=3.0 * number,
                from_suggestions=not withheld,
            )

    def _result(
        self, number: int, regions: Sequence[Region], often: np.ndarray
    ) -> Iterator[Region]:
        points = [region for region in regions if region["type"] == "keypointlabels"]
        actions = self.random.choice(len(ACTIONS), len(points), p=often).tolist()
        for region, action in zip(points, actions, strict=True):
            if ACTIONS[action] != "delete":
                yield self._changed(region, ACTIONS[action])
        size = points[0]["original_width"], points[0]["original_height"]
        for place in range(ADDED):
            x, y = self.random.uniform(1, 99, 2).tolist()
            yield added(f"{number:x}-{place}", size, x, y, self._label())
        if self.random.random() < RECTANGLES:
            left, top = self.random.uniform(0, 40, 2).tolist()
            yield rectangle(f"{number:x}-box", size, (left, top, left + 50, top + 55))
        for region in regions:
            if region["type"] == "choices":
                other = CLASSES[self.random.integers(len(CLASSES))]
                yield region if self.random.random() < 0.9 else chosen(region, other)

    def _changed(self, region: Region, action: str) -> Region:
        if "move" in action:
            dx, dy = self.random.normal(0, SPREAD, 2).tolist()
            region = moved(region, dx * region["original_width"], dy * region["original_height"])
            value = region["value"]
            inside = {side: min(max(value[side], 0.1), 99.9) for side in ("x", "y")}
            region = {**region, "value": {**value, **inside}}
        return relabelled(region, self._label()) if "relabel" in action else region

    def _label(self) -> str:
        return LABELS[self.random.integers(len(LABELS))]


def _renamed(region: Region, place: int) -> Region:
    return {**region, "id": f"own-{place}", "origin": "manual"}


def fill(database: Database, verdicts: int, *, seed: int = 1) -> int:
    """Write a project with about so many verdicts about points, and return its annotations.

    Args:
        database: with its tables, and empty.
    """
    images = max(2, round(verdicts / POINTS / ANNOTATIONS * 2))
    world = World(np.random.default_rng(seed), images)
    log = AnnotationLog(database, label_config(LABELS, CLASSES))
    annotations = 0
    for task_id in tqdm(range(1, images + 1), desc="images", disable=None):
        found, version, withheld = world.image(task_id)
        if withheld:
            log.withhold([task_id])
        regions = log.predict(task_id, found, version, deliver=not withheld)
        if world.random.random() < TWO_VERSIONS:
            [other] = set(VERSIONS) - {version}
            log.predict(task_id, found, other, deliver=False)
        for submitted in world.annotations(task_id, annotations, regions, withheld):
            log.submit(submitted)
            annotations = submitted.number
        if task_id % BATCH == 0:
            log.record()
    log.record()
    return annotations
