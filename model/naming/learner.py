"""From examples to named points, each with the probability that it stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.naming.confidence import Logistic
from model.naming.evidence import find
from model.naming.examples import Example, labels_of, views
from model.naming.features import ExampleFeatures
from model.naming.grid import is_known
from model.naming.knowledge import Knowledge, Taught, knowledge, taught
from model.naming.leave_one_out import outcomes, rehearsals, score_models
from model.naming.moments import Moments, total, view_moments

# A point is right within this share of the longer side of the box, or of what stands for it.
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class NamedPoint:
    """A suggestion for one label.

    Attributes:
        x, y: px of the upright image; (0, 0) is the centre of its first pixel.
        score: probability that the label is visible and its point within the tolerance.
        visible_probability: probability that the label is visible.
    """

    label: str
    x: float
    y: float
    score: float
    visible_probability: float


@dataclass(frozen=True, eq=False)
class NamingModel:
    """What a set of examples teaches.

    Attributes:
        key: of the extractor whose features it understands.
        known: heat maps and layouts.
        visible: probability that a label is visible, from the figures of `evidence.Found`.
        within: probability that its place is within the tolerance if it is visible.
        examples: how many there were.
    """

    key: str
    known: Knowledge
    visible: Logistic
    within: Logistic
    examples: int

    def predict(
        self,
        features: ExampleFeatures,
        given: Mapping[str, tuple[float, float]] | None = None,
    ) -> list[NamedPoint]:
        """Suggest a point for each label that some example has, whether it is worth showing or not.

        Args:
            features: of the image, from the same extractor as the examples'.
            given: label → x and y, px, of points that are already placed: the others are made
                consistent with them. They are not suggested again.

        Raises:
            ValueError: the features are another extractor's.
        """
        expect_key(self.key, features)
        given = given or {}
        found = find(self.known, features, given)
        usable = is_known(found.places)
        figures = np.where(usable[:, None], found.figures, 0)
        visible = self.visible(figures)
        scores = visible * self.within(figures)
        places = features.frame.to_image(found.places)
        return [
            NamedPoint(label, float(x), float(y), float(score), float(seen))
            for label, (x, y), score, seen, use in zip(
                self.known.labels, places, scores, visible, usable, strict=True
            )
            if use and label not in given
        ]


def fit(
    examples: Sequence[Example],
    *,
    labels: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
    rehearsed: int | None = None,
) -> NamingModel:
    """Learn from examples.

    Args:
        examples: one or more, oldest first, all from one extractor.
        labels: those to suggest; all that have an example if None.
        tolerance: share of the longer side of the box within which a point is right; of
            `object_box` without one.
        rehearsed: how many of the newest examples are left out in turn to calibrate the scores;
            None for `rehearsals` of their number.

    Raises:
        ValueError: there is no example, no example has a point, or two are of different extractors.
    """
    if not examples:
        raise ValueError("expected one or more examples, got none")
    key = examples[0].features.key
    for example in examples:
        expect_key(key, example.features)
    names = tuple(labels) if labels is not None else labels_of(examples)
    if not names:
        raise ValueError("expected an example with a point, got none")
    sums, parts = _studied(examples, names)
    known = knowledge(names, sums, [part for pair in parts for part in pair])
    most = rehearsals(len(examples)) if rehearsed is None else rehearsed
    measured = outcomes(examples, names, sums, parts, tolerance, most)
    visible, within = score_models(measured)
    return NamingModel(key, known, visible, within, len(examples))


def _studied(
    examples: Sequence[Example], labels: Sequence[str]
) -> tuple[Moments, list[list[Taught]]]:
    """Return the sums over one or more examples, and what each view of each teaches."""
    sums: Moments | None = None
    parts = []
    for example in examples:  # one at a time: a view takes 1 MB
        seen = list(views(example))
        parts.append([taught(view, labels) for view in seen])
        own = total([view_moments(view) for view in seen])
        sums = sums + own if sums else own
    if sums is None:
        raise ValueError("expected one or more examples, got none")
    return sums, parts


def expect_key(key: str, features: ExampleFeatures) -> None:
    """Raise ValueError unless the features come from the extractor with this key."""
    if features.key != key:
        raise ValueError(
            f"expected features of {key}, got {features.key}: extract them again with the "
            f"present network"
        )
