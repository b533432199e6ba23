"""Tables of random verdicts, for tests that every project has figures and a page."""

import random
from datetime import timedelta

from agreement_table import MOMENT, Made, deleted, detection, kept, table_of
from agreement_table import added as drawn

from backend.agreement.records import VersionDetection
from backend.agreement.table import VerdictTable


def random_table(draw: random.Random) -> VerdictTable:
    """The table of a random project."""
    made, detections = random_project(draw)
    return table_of(*made, detections=detections)


def random_project(draw: random.Random) -> tuple[list[Made], list[VersionDetection]]:
    """Up to 25 tasks with any verdicts, with and without suggestions, objects and times."""
    rates = [draw.choice((0, 0, 1, 4)) for _ in range(4)] + [draw.choice((0, 1))]
    rates[draw.randrange(5)] += 1
    labels, versions = ["beak", "tail", "wing"][: draw.randint(1, 3)], ["a", "b"]
    made, detections = [], []
    for task in range(draw.randint(0, 25)):
        for annotator in range(1, draw.choice((1, 1, 3)) + 1):
            points = [random_verdict(draw, n, rates, labels) for n in range(draw.randint(0, 6))]
            made.append(
                Made(
                    task,
                    points,
                    annotator=draw.choice((annotator, annotator, None)),
                    shown=draw.random() < 0.7,
                    class_name=draw.choice(("wren", "crow")),
                    lead_time=draw.choice((None, 0.0, 5.0, draw.uniform(1, 4000))),
                    model_version=draw.choice(versions),
                    updated_at=MOMENT + timedelta(days=draw.randint(0, 60)),
                )
            )
        found = [(draw.uniform(0, 99), draw.uniform(0, 99)) for _ in range(draw.randint(0, 3))]
        detections += [detection(task, each, *found) for each in versions if draw.random() < 0.7]
    return made, detections


def random_verdict(draw: random.Random, number: int, rates: list[int], labels: list[str]):
    at = draw.uniform(0, 99), draw.uniform(0, 99)
    label, other, hit = draw.choice(labels), draw.choice(labels), draw.random() < 0.7
    size = draw.choice(({}, {"length": 40.0, "area": 800.0, "object": 0}))
    [kind] = draw.choices(range(5), rates)
    if kind == 0:
        return kept(at, label, number=number, hit=True, score=draw.random(), **size)
    if kind in (1, 2):
        name = other if kind == 2 else None
        far = 0.0 if kind == 2 and draw.random() < 0.5 else draw.uniform(0.1, 30)
        return kept(at, label, by=far, number=number, hit=hit, final_label=name, **size)
    if kind == 3:
        return deleted(at, label, number=number)
    return drawn(at, label, hit=hit)
