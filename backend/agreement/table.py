"""The frozen table that every figure of agreement is computed from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from backend.agreement.annotation_points import AnnotationPoints
from backend.agreement.columns import Flags, VerdictColumns
from backend.agreement.records import (
    AnnotationGroups,
    Arrivals,
    ChoiceCount,
    FollowUpCount,
    JudgedAnnotation,
    UnusedCount,
    VersionDetection,
)
from backend.verdicts.records import Filters, Group


@dataclass(frozen=True)
class VerdictTable:
    """Everything that the figures need, loaded once.

    Comparisons that pair points again need the points themselves. These are loaded for a sample of
    tasks, so that a table of a million verdicts stays small.

    Attributes:
        filters: which annotations were loaded.
        columns: annotations that count, shown and withheld, with the verdicts about their points.
            An annotation whose first submission is another state than the newest has both.
        choices: verdicts about suggested classes, of first submissions.
        follow_ups: verdicts about points that followed something placed, of first submissions.
        elsewhere: number of annotations that were never compared with a suggestion.
        skipped: number of annotations that were skipped.
        unused: reasons why something was not used, the most frequent first.
        arrivals: how annotations reached the backend.
        tasks_of_several_annotators: number of tasks whose suggestions were withheld and that two
            or more people annotated.
        tasks_shown_to_several: number of tasks that two or more people annotated after they saw
            the suggestions.
        compared_tasks: the drawn ones among them, each with one annotation of each annotator.
        detections: detections of all model versions, for tasks drawn among the annotated ones that
            several versions predicted; by project, then in the order of the requests.
        points: of the annotations of `compared_tasks`, and of every annotation of a task in
            `detections`.
    """

    filters: Filters
    columns: VerdictColumns
    choices: Sequence[ChoiceCount]
    follow_ups: Sequence[FollowUpCount]
    elsewhere: int
    skipped: int
    unused: Sequence[UnusedCount]
    arrivals: Arrivals
    tasks_of_several_annotators: int
    tasks_shown_to_several: int
    compared_tasks: Sequence[tuple[JudgedAnnotation, ...]]
    detections: Sequence[VersionDetection]
    points: AnnotationPoints

    @cached_property
    def shown(self) -> VerdictColumns:
        """Annotations that began as the suggestions."""
        return self.columns.of_annotations(self._are("shown"))

    @cached_property
    def withheld(self) -> VerdictColumns:
        """Annotations that were made without the suggestions."""
        return self.columns.of_annotations(self._are("withheld"))

    @property
    def groups(self) -> AnnotationGroups:
        """Numbers of annotations by what their annotators had."""
        newest = Counter(each.group for each in self.columns.annotations if each.is_newest)
        return AnnotationGroups(
            newest["shown"], newest["withheld"], newest["from scratch"], self.elsewhere
        )

    def _are(self, group: Group) -> Flags:
        return np.array([each.group == group for each in self.columns.annotations], bool)
