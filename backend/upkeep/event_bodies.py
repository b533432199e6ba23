"""What of an event of Label Studio is about a person."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from backend.labelstudio.projects import project_id_of
from backend.labelstudio.shapes import Json


class Annotated(NamedTuple):
    """What identifies an annotation."""

    project_uid: str
    annotation_id: int
    made_at: datetime


def without_annotations(
    body: Json, project_id: int | None, annotator: int, found: Collection[Annotated]
) -> Json | None:
    """Return the body of an event without the annotations of a person.

    Args:
        project_id: number of the project that the event is of.
        annotator: number of the person in Label Studio.
        found: annotations that are known to be the person's.

    Returns:
        None if nothing about others is left.
    """
    ids = {each.annotation_id for each in found if project_id_of(each.project_uid) == project_id}
    if _is_theirs(body.get("annotation"), annotator, ids):
        return None
    several = body.get("annotations")
    if not isinstance(several, list):
        return body
    left = [each for each in several if not _is_theirs(each, annotator, ids)]
    if several and not left:
        return None
    return body if len(left) == len(several) else {**body, "annotations": left}


def _is_theirs(annotation: object, annotator: int, ids: Collection[int]) -> bool:
    if not isinstance(annotation, dict):
        return False
    who = annotation.get("completed_by")
    number = who.get("id") if isinstance(who, dict) else who
    if number is not None:
        return bool(number == annotator)
    return annotation.get("id") in ids  # a deletion names the annotation alone
