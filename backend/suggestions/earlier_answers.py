"""What became of earlier answers about the same task: accepted, rejected, or not yet decided.

Label Studio does not say. If a draft that was saved later has a region of an answer, that answer
was accepted, and what the draft lacks was deleted. If such a draft has none of them, or there is no
such draft, the suggestions of the answer still wait for the annotator: Label Studio then replaces
them by those of the next answer, which has to repeat them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.labelstudio.shapes import Json
from backend.suggestions.drawing import Drawn
from backend.suggestions.interactive_records import InteractiveAnswer


@dataclass
class EarlierAnswers:
    """The regions of earlier answers, by what became of them; raw, by id.

    Attributes:
        undecided: suggestions that wait for the annotator, as sent last.
        prompts: what the annotator placed to get these; accepting them deletes it unless the answer
            repeats it.
        accepted: suggestions that are on the image, as far as is known, though no draft has them.
        deleted: suggestions that the annotator does not want.
    """

    undecided: dict[str, Json] = field(default_factory=dict)
    prompts: dict[str, Json] = field(default_factory=dict)
    accepted: dict[str, Json] = field(default_factory=dict)
    deleted: dict[str, Json] = field(default_factory=dict)


def earlier_answers(answers: Sequence[InteractiveAnswer], drawn: Drawn) -> EarlierAnswers:
    """Return what became of the answers of a task.

    Args:
        answers: oldest first. One without prompts marks that what the annotator had placed is gone,
            as Label Studio reports when suggestions are accepted or rejected all at once.
        drawn: what the annotator has on the image.
    """
    found = EarlierAnswers()
    for answer in answers:
        if answer.request.prompts:
            _add(found, answer, drawn)
            continue
        if not _is_known(answer, drawn):
            found.accepted |= found.undecided
        found.undecided, found.prompts = {}, {}
    for region_id in drawn.regions or ():
        for regions in (found.undecided, found.accepted, found.deleted):
            regions.pop(region_id, None)
    return found


def _add(found: EarlierAnswers, answer: InteractiveAnswer, drawn: Drawn) -> None:
    suggested = {str(each.get("id")): each for each in answer.suggested}
    placed = {
        str(each.get("id")): each for each in answer.sent or () if each not in answer.suggested
    }
    for regions in (found.undecided, found.accepted, found.deleted, found.prompts):
        for region_id in (*suggested, *placed):
            regions.pop(region_id, None)
    is_known = _is_known(answer, drawn)
    if is_known and any(drawn.has(region_id) for region_id in suggested):
        found.deleted |= suggested
        return
    found.undecided |= suggested
    for region_id, region in placed.items():
        if not is_known or drawn.has(region_id):
            found.prompts[region_id] = dict((drawn.regions or {}).get(region_id, region))


def _is_known(answer: InteractiveAnswer, drawn: Drawn) -> bool:
    """Return whether a draft was saved after an answer."""
    assert answer.sent_at is not None, "guaranteed for answers of a task"
    return drawn.saved_at is not None and drawn.saved_at >= answer.sent_at
