"""Fill a database with verdicts: `python tests/many_verdicts.py FILE COUNT`."""

import random
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backend.database.connection import Database
from backend.labelstudio.projects import projects
from backend.suggestions.tables import predictions
from backend.verdicts.judging import VERDICTS, Verdict
from backend.verdicts.packing import pack
from backend.verdicts.tables import origins, states, verdicts

POINTS = 20
SIDE = 640.0
START = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = ("beak", "crown", "tail", "left wing", "right wing", "eye", "foot", "nape")
CLASSES = ("wren", "crow", "finch")
BATCH = 500  # annotations a transaction


def fill(database: Database, count: int, *, seed: int = 0) -> None:
    """Write `count` verdicts, twenty an annotation, two annotators for every tenth task."""
    draw = random.Random(seed)
    with database.writing() as connection:
        connection.execute(projects.insert(), [{"uid": "1.1", "changed_at": START}])
    for start in range(0, count // POINTS, BATCH):
        numbers = range(start, min(start + BATCH, count // POINTS))
        tasks = sorted({_task(number) for number in numbers} - {_task(start - 1)})
        with database.writing() as connection:
            if tasks:
                connection.execute(predictions.insert(), [_prediction(task) for task in tasks])
            found = {
                number: [_verdict(place, number, draw) for place in range(POINTS)]
                for number in numbers
            }
            made = [_state(number, found[number], draw) for number in numbers]
            connection.execute(states.insert(), made)
            names = [column.name for column in origins.columns]
            connection.execute(
                origins.insert(), [{name: each[name] for name in names} for each in made]
            )
            rows = [
                {"state_id": number + 1} | asdict(each)
                for number in numbers
                for each in found[number]
            ]
            connection.execute(verdicts.insert(), rows)


def _task(number: int) -> int:
    """Every eleventh annotation is a second one of the task before it."""
    return number + 1 - number // 11 if number >= 0 else 0


def _prediction(task: int) -> dict[str, object]:
    found = {"class_name": CLASSES[task % 3], "probability": 0.9, "keypoints": []}
    found |= {"width": SIDE, "height": SIDE}
    found |= {"box": {"left": 0, "top": 0, "width": SIDE, "height": SIDE}}
    names = ("round", "attempts", "failures", "deliveries", "checks")
    return dict.fromkeys(names, 1) | {
        "id": task,
        "project_uid": "1.1",
        "task_id": task,
        "image_url": f"/data/{task}.jpg",
        "input_sha256": f"{task:064}",
        "model_version": "small-1",
        "task": {},
        "status": "ready",
        "to_deliver": True,
        "detection": found,
        "created_at": START,
        "asked_at": START,
    }


def _state(number: int, found: list[Verdict], draw: random.Random) -> dict[str, object]:
    moment = START + timedelta(minutes=5 * number)
    points, labels = pack(found)
    return {
        "id": number + 1,
        "project_uid": "1.1",
        "task_id": _task(number),
        "annotation_id": number + 1,
        "made_at": moment,
        "updated_at": moment,
        "digest": f"{number:064}",
        "source": "event",
        "recorded_at": moment,
        "outcome": "judged",
        "annotator": number % 11,
        "lead_time": draw.expovariate(1 / 20),
        "prediction_id": _task(number),
        "model_version": "small-1",
        "score": 0.9,
        "class_name": CLASSES[_task(number) % 3],
        "shown": True,
        "width": SIDE,
        "height": SIDE,
        "objects": [],
        "points": points,
        "labels": labels,
    }


def _verdict(place: int, number: int, draw: random.Random) -> Verdict:
    kind = draw.choices(VERDICTS, (50, 20, 5, 5, 12, 8))[0]
    x, y = draw.uniform(0, SIDE - 1), draw.uniform(0, SIDE - 1)
    moved = draw.expovariate(1 / 8) if kind.startswith("moved") else 0.0
    suggested, final = kind != "added", kind != "deleted"
    label = draw.choice(LABELS)
    other = draw.choice(LABELS) if kind.endswith("relabelled") else label
    near = moved <= 0.05 * SIDE and suggested and final
    return Verdict(
        kind="point",
        verdict=kind,
        number=place if suggested else None,
        region_id=f"{number:06x}{place:04x}",
        suggested_label=label if suggested else None,
        final_label=other if final else None,
        score=draw.random() if suggested else None,
        suggested_x=x if suggested else None,
        suggested_y=y if suggested else None,
        final_x=x + moved if final else None,
        final_y=y if final else None,
        displacement=moved if suggested and final else None,
        length=300.0,
        area=60000.0,
        suggested_hit=near if suggested else None,
        final_hit=near if final else None,
    )


if __name__ == "__main__":
    database = Database(f"sqlite:///{Path(sys.argv[1]).absolute()}")
    database.migrate()
    fill(database, int(sys.argv[2]))
