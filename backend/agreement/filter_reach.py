"""What a filter does not reach, by section of the report."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from backend.verdicts.records import Filters

WHOLE = "are those of whole annotations: the filter by label does not reach them"
BY_PROJECT = "How annotations arrived is counted by project only: no other filter reaches it."

# Section of the JSON → filter → what it does not reach; every other filter reaches all of it.
NOT_REACHED: Mapping[str, Mapping[str, str]] = {
    "overall": {
        "label": f"Times, classes, numbers of annotations, images, tasks and annotators {WHOLE}.",
        "model_version": (
            "A skipped annotation belongs to no model version: none is counted under this filter."
        ),
    },
    "groups": {
        "label": f"The numbers in the next sentence {WHOLE}.",
        "model_version": (
            "An annotation that was never compared with a suggestion belongs to no model version:"
            " none is counted under this filter."
        ),
    },
    "by": {"label": f"Times, and the groups that are listed, {WHOLE}."},
    "work_saved": {"label": "The seconds that were measured are those of whole annotations."},
    "costs": {
        "label": (
            "Lead times are those of whole annotations, so under a filter by label the costs are"
            " the defaults."
        )
    },
    "enough_withheld_time": {"label": f"Lead times {WHOLE}."},
    "rubber_stamping": {
        "label": "Haste is that of whole annotations, so the filter by label leaves none to show."
    },
    "annotators": {
        "label": (
            "Time a point, unchanged and hasty annotations are those of whole annotations: none is"
            " given under a filter by label. F1 with others, numbers of annotations, and times"
            " shown less withheld, are those of all points."
        )
    },
    "people": {
        "label": "Annotators are compared by all of their points, not by those of one label.",
        "annotator": "The filter by annotator leaves nobody to compare with.",
    },
    "pairs": {
        "label": "Pairs are compared by all of their points, not by those of one label.",
        "annotator": "The filter by annotator leaves no pair of annotators.",
    },
    "model_versions": {
        "label": "Model versions are compared by all of their points, not by those of one label.",
        "model_version": (
            "The filter by model version chooses tasks whose annotations were compared with it;"
            " every version is compared there."
        ),
    },
    "anchoring": {"label": f"Times and numbers of annotations {WHOLE}."},
    "landmarks": {
        "label": (
            "How often chance finds a label depends on the suggestions of all labels: there is no"
            " comparison with chance under a filter by label."
        )
    },
    "worst_tasks": {"label": "The pictures show the points of all labels."},
    "stages": {"label": "The pictures show the points of all labels."},
    "not_used": {
        "label": "What was left out is counted for all labels.",
        "model_version": (
            "Of what was left out, annotations that were compared with no model version are not"
            " counted under this filter."
        ),
        "annotator": "Events without an annotation are not counted under this filter.",
        "since": "Events without an annotation are not counted under this filter.",
        "until": "Events without an annotation are not counted under this filter.",
    },
    "events": dict.fromkeys(("label", "annotator", "model_version", "since", "until"), BY_PROJECT),
}


@dataclass(frozen=True, slots=True)
class NotReached:
    """Something that a filter in use does not reach.

    Attributes:
        section: of the JSON, or `stages`, which the page alone has.
        filters: the filters in use that do not reach it.
        text: what they do not reach, as the page says it.
    """

    section: str
    filters: tuple[str, ...]
    text: str


def not_reached(filters: Filters) -> list[NotReached]:
    """List what the filters in use do not reach; each text once a section."""
    used = [each.name for each in fields(filters) if getattr(filters, each.name) is not None]
    return [
        NotReached(section, tuple(name for name in used if notes.get(name) == text), text)
        for section, notes in NOT_REACHED.items()
        for text in dict.fromkeys(notes[name] for name in used if name in notes)
    ]
