"""Judge the suggestions that followed a point or rectangle which the annotator had placed.

They are verdicts of a kind of their own: somebody had already said where the object is, so they are
right more often than the suggestions a task is opened with, with which no figure may mix them. For
these, a point that followed is one that they lack, as it is on a task without interactive answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from backend.labelstudio.regions import RECTANGLES
from backend.labelstudio.shapes import Json
from backend.suggestions.interactive_records import InteractiveAnswer
from backend.verdicts.drawn import Shown, text_of
from backend.verdicts.judging import Verdict, judge

FOLLOW_UP = "follow-up"


def judge_follow_ups(
    answers: Sequence[InteractiveAnswer], shown: Shown, result: Sequence[object]
) -> Iterator[Verdict]:
    """Yield a verdict on each suggestion of the answers that an annotation was made with.

    It was made with an answer if it has a region of it: other annotators never saw that answer.

    Args:
        answers: of the task, oldest first.
        shown: gives the size of the image, and the task's box.
        result: regions of the annotation, raw JSON.
    """
    regions = [region for region in result if isinstance(region, Mapping)]
    final_ids = {text_of(region.get("id")) for region in regions} - {None}
    suggested: dict[str | None, Json] = {}
    for answer in answers:
        if any(region.get("id") in final_ids for region in answer.sent or ()):
            suggested |= {region.get("id"): region for region in answer.suggested}
    if not suggested:
        return
    kept = [
        region
        for region in regions
        if text_of(region.get("id")) in suggested or region.get("type") in RECTANGLES
    ]
    followed = replace(shown, result=list(suggested.values()))
    for verdict in judge(followed, kept, made_from_it=True).verdicts:
        if verdict.kind == "point" and verdict.number is not None:
            yield replace(verdict, kind=FOLLOW_UP)
