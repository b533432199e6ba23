"""Tables made by hand as rows of the verdict log, for tests that need a database.

Much faster than events: the states are stored as they are, not worked out anew.
"""

from collections.abc import Sequence

from agreement_table import MOMENT, Made

from backend.agreement.records import VersionDetection
from backend.database.connection import Database
from backend.labelstudio.projects import projects
from backend.suggestions.tables import holdouts, predictions
from backend.verdicts.drawn import Object
from backend.verdicts.records import Entry, State
from backend.verdicts.storage import VerdictStorage
from model.keypoint import Box

SIDE = 100.0
OBJECT = Object("rectangle1", "bird", Box(30, 40, 40, 20))  # of the size that verdicts name
ONES = ("round", "attempts", "failures", "deliveries", "checks")


def record_tables(
    database: Database,
    tables: dict[str, tuple[Sequence[Made], Sequence[VersionDetection]]],
) -> None:
    """Store annotations and detections of some projects.

    Args:
        tables: uid of a project → its annotations, and what each model version found.
    """
    found: dict[tuple[str, int, str], dict[str, object]] = {}
    withheld = set()
    for uid, (made, detections) in tables.items():
        for each in made:
            key = (uid, each.task, each.model_version)
            found.setdefault(key, _prediction(*key, each.class_name, []))
            if not each.shown:
                withheld.add((uid, each.task))
        for detected in detections:
            key = (uid, detected.task_id, detected.model_version)
            found[key] = _prediction(*key, "wren", detected.points.tolist())
    rows = [{**row, "id": number} for number, row in enumerate(found.values(), start=1)]
    with database.writing() as connection:
        connection.execute(
            projects.insert(), [{"uid": uid, "changed_at": MOMENT} for uid in tables]
        )
        if rows:
            connection.execute(predictions.insert(), rows)
        if withheld:
            connection.execute(
                holdouts.insert(),
                [
                    {"project_uid": uid, "task_id": task, "withheld_at": MOMENT}
                    for uid, task in sorted(withheld)
                ],
            )
    ids = {key: number for number, key in enumerate(found, start=1)}
    states = [
        _state(uid, number, each, ids[uid, each.task, each.model_version])
        for uid, (made, _) in tables.items()
        for number, each in enumerate(made, start=1)
    ]
    VerdictStorage(database).record([Entry(states=states)], MOMENT)


def _prediction(
    uid: str, task: int, version: str, class_name: str, points: Sequence[Sequence[float]]
) -> dict[str, object]:
    keypoints = [{"x": x, "y": y, "score": 0.5, "label": ""} for x, y in points]
    box = {"left": 0, "top": 0, "width": SIDE, "height": SIDE}
    detection = {"class_name": class_name, "probability": 0.9, "keypoints": keypoints}
    return dict.fromkeys(ONES, 1) | {
        "project_uid": uid,
        "task_id": task,
        "image_url": f"/{uid}/{task}.png",
        "input_sha256": f"{uid} {task}".ljust(64, "0"),
        "model_version": version,
        "task": {},
        "status": "ready",
        "to_deliver": True,
        "detection": detection | {"width": SIDE, "height": SIDE, "box": box},
        "created_at": MOMENT,
        "asked_at": MOMENT,
    }


def _state(uid: str, number: int, each: Made, prediction_id: int) -> State:
    return State(
        project_uid=uid,
        task_id=each.task,
        annotation_id=number,
        made_at=MOMENT,
        updated_at=each.updated_at,
        digest=f"{uid} {number}".ljust(64, "0"),
        source="event",
        outcome="judged",
        annotator=each.annotator,
        lead_time=each.lead_time,
        prediction_id=prediction_id,
        model_version=each.model_version,
        score=0.9,
        class_name=each.class_name,
        shown=each.shown,
        begun=each.shown and not each.from_scratch,
        width=SIDE,
        height=SIDE,
        objects=[OBJECT] if any(verdict.object == 0 for verdict in each.verdicts) else [],
        verdicts=each.verdicts,
    )
