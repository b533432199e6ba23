"""Choose the prediction that an annotation is compared with, among those of its task."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from backend.verdicts.records import Candidate, State

LONGEST_WORK = 7 * 24 * 3600.0  # s; a longer lead time is not believed


def compared_prediction(
    candidates: Sequence[Candidate],
    parent: int | None,
    origin: int | None,
    ids: set[str],
    state: State,
    withheld: bool,
) -> Candidate | None:
    """Return the prediction that an annotation is compared with.

    The one that Label Studio names, else the one that it named before, else the one that shares
    most regions, else the last one delivered before the annotation was made, else one whose
    suggestions were withheld. A prediction that was changed in Label Studio keeps its key there:
    before others comes what it was when the annotator opened the task.

    Args:
        parent: Label Studio's id of the prediction that it names.
        origin: our id of the one that an earlier state began as.
    """
    worked = timedelta(seconds=min(state.lead_time or 0.0, LONGEST_WORK))
    delivered = [each for each in candidates if each.sent is not None]

    def rank(each: Candidate) -> tuple[bool, bool, int, bool, bool, float, int]:
        assert each.sent is not None and each.delivered_at is not None, "it was delivered"
        moment = each.delivered_at.timestamp()
        before = each.delivered_at <= state.made_at
        return (
            parent is not None and each.label_studio_id == parent,
            each.prediction_id == origin,
            len(ids & region_ids(each.sent.get("result") or [])),
            before,
            each.delivered_at + worked <= state.made_at,
            moment if before else -moment,
            each.prediction_id,
        )

    best = max(delivered, key=rank, default=None)
    if best is not None:
        named, began, shared, before, *_ = rank(best)
        if named or began or shared or before or parent is not None:
            return best
    if withheld and not delivered:
        return max(candidates, key=lambda each: each.prediction_id, default=None)
    return None


def count_others(candidates: Iterable[Candidate], chosen: Candidate) -> int:
    """Count the other delivered predictions of the same model version."""
    same_version = {
        each.prediction_id
        for each in candidates
        if each.model_version == chosen.model_version and each.sent is not None
    }
    return len(same_version - {chosen.prediction_id})


def shares_a_region(result: Iterable[object], chosen: Candidate) -> bool:
    """Return whether an annotation has a region of the suggestions, kept or changed."""
    return chosen.sent is not None and not region_ids(result).isdisjoint(
        region_ids(chosen.sent.get("result") or [])
    )


def region_ids(regions: Iterable[object]) -> set[str]:
    return {
        region["id"]
        for region in regions
        if isinstance(region, Mapping) and isinstance(region.get("id"), str)
    }
