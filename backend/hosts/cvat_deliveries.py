"""Which suggestions a job of CVAT got: a delivery has the id of its job as its id there."""

from collections.abc import Iterable

from backend.hosts.cvat_schemas import Job
from backend.labelstudio.schemas import PredictionJson
from backend.verdicts.records import Candidate


def deliveries_to(candidates: Iterable[Candidate], job: Job) -> list[PredictionJson]:
    """Return what a job got on a frame, oldest first.

    Args:
        candidates: the predictions of the frame.
    """
    of_job = [
        (each.delivered_at, each.sent)
        for each in candidates
        if each.label_studio_id == job.id and each.sent is not None and each.delivered_at
    ]
    return [sent for _, sent in sorted(of_job, key=lambda each: each[0])]
