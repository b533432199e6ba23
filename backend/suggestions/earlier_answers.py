"""What became of earlier answers about the same task: accepted, rejected, or not yet decided.

Label Studio does not say, nor who had asked. But a draft is the annotator's own. If one that was
saved later has a suggestion of an answer, that answer was accepted, and what the draft lacks was
deleted. If it has only what was placed to get the answer, the suggestions still wait for the
annotator: Label Studio replaces them by those of the next answer, which has to repeat them. The
same is assumed as long as the draft may not be saved yet. All other answers are somebody else's, or
about an annotation that was submitted since.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backend.labelstudio.shapes import Json
from backend.suggestions.drawing import Drawn
from backend.suggestions.interactive_records import InteractiveAnswer

# Label Studio saves a draft 5 s after a change, if the network is quick.
SAVED_WITHIN = timedelta(seconds=30)


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


def earlier_answers(
    answers: Sequence[InteractiveAnswer], drawn: Drawn, moment: datetime
) -> EarlierAnswers:
    """Return what became of the answers of a task.

    Args:
        answers: oldest first. One without prompts marks that what the annotator had placed is gone,
            as Label Studio reports when suggestions are accepted or rejected all at once.
        drawn: what the annotator has on the image.
        moment: now.
    """
    found = EarlierAnswers()
    for answer in answers:
        if answer.request.prompts:
            _add(found, answer, drawn, moment)
            continue
        if not _is_known(answer, drawn):
            found.accepted |= found.undecided
        found.undecided, found.prompts = {}, {}
    for region_id in drawn.regions or ():
        for regions in (found.undecided, found.accepted, found.deleted):
            regions.pop(region_id, None)
    return found


def _add(found: EarlierAnswers, answer: InteractiveAnswer, drawn: Drawn, moment: datetime) -> None:
    suggested = {str(each.get("id")): each for each in answer.suggested}
    placed = {
        str(each.get("id")): each for each in answer.sent or () if each not in answer.suggested
    }
    for regions in (found.undecided, found.accepted, found.deleted, found.prompts):
        for region_id in (*suggested, *placed):
            regions.pop(region_id, None)
    if not _is_known(answer, drawn):
        if _sent_at(answer) + SAVED_WITHIN >= moment:
            found.undecided |= suggested
            found.prompts |= placed
    elif any(drawn.has(region_id) for region_id in suggested):
        found.deleted |= suggested
    else:
        there = {key: dict((drawn.regions or {})[key]) for key in placed if drawn.has(key)}
        found.prompts |= there
        found.undecided |= suggested if there else {}


def _is_known(answer: InteractiveAnswer, drawn: Drawn) -> bool:
    """Return whether a draft was saved after an answer."""
    return drawn.saved_at is not None and drawn.saved_at >= _sent_at(answer)


def _sent_at(answer: InteractiveAnswer) -> datetime:
    assert answer.sent_at is not None, "guaranteed for answers of a task"
    return answer.sent_at
