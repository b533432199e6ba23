"""The digest of an annotation, which tells whether two of its states at the same time differ.

Events and Label Studio's API write the same annotation differently: the annotator as a number or as
an object, 50 or 50.0, a missing field or null. So the digest is over the values as they are read.
It leaves out the parent prediction, which Label Studio sets to null, without changing the time of
the annotation, when the prediction is deleted.
"""

import hashlib
import json
import math
from collections.abc import Mapping

from backend.labelstudio.schemas import Annotation

# Version 1 was over the raw values of the same fields and of the parent prediction. States that the
# migration could not give a new digest, because no event brought them, still have it.
DIGEST_VERSION = 2


def digest_of(annotation: Annotation) -> str:
    """Return the digest of the fields that count; a change of any other makes no new state."""
    return sha256_of_json(
        {
            "result": _normalised(annotation.result),
            "was_cancelled": annotation.was_cancelled,
            "completed_by": annotation.completed_by,
            "lead_time": annotation.lead_time,
            "task": annotation.task,
        }
    )


def sha256_of_json(value: object) -> str:
    """Return the SHA-256 of a value as JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _normalised(value: object) -> object:
    """Write whole numbers as integers, and NaN and infinities as text, as in stored events."""
    if isinstance(value, Mapping):
        return {name: _normalised(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_normalised(each) for each in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return json.dumps(value)
        return int(value) if value.is_integer() else value
    return value
