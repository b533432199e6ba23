"""Which suggestions save an annotator time: those that cost less shown than not.

Standard library only: the web process decides what it shows without loading torch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that an annotator needs.

    Attributes:
        place: a new point with its name.
        verify: to look at a suggestion and see that it is right, or not.
        drag: to move a point.
        delete: to delete one.
        relabel: to give a point another name.
        absent: to decide that a label without a suggestion is not visible.
    """

    place: float = 3.4
    verify: float = 0.8
    drag: float = 2.2
    delete: float = 1.3
    relabel: float = 2.0
    absent: float = 0.6

    def __post_init__(self) -> None:
        for name in ("place", "verify", "drag", "delete", "relabel", "absent"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"expected {name} ≥ 0 seconds, got {getattr(self, name)}")

    def correcting(self) -> float:
        """Return the seconds for a visible point in the wrong place, once seen to be wrong."""
        return min(self.drag, self.delete + self.place)


STANDARD = Costs()
# Cost models under which suggestions are judged.
COST_MODELS = {
    "standard": STANDARD,
    "names advance": Costs(place=2.4),
    "slow and careful": Costs(10, 2.5, 6, 1.5, 2, 2),
    "costly verifying": Costs(verify=1.6),
    "free verifying": Costs(verify=0.3),
}


class Suggestion(Protocol):
    """A named point, with its probabilities; see `learner.NamedPoint`."""

    @property
    def score(self) -> float:
        """Probability that the label is visible and its point within the tolerance."""

    @property
    def visible_probability(self) -> float:
        """Probability that the label is visible."""


SuggestionT = TypeVar("SuggestionT", bound=Suggestion)


def shown_seconds(visible: float, right: float, costs: Costs) -> float:
    """Return the expected seconds for a label whose suggestion is shown.

    Args:
        visible: probability that the label is visible.
        right: probability that it is visible and the suggestion is within the tolerance.
    """
    wrong, hidden = max(0.0, visible - right), 1 - visible
    return costs.verify + wrong * costs.correcting() + hidden * (costs.delete)


def hidden_seconds(visible: float, costs: Costs) -> float:
    """Return the expected seconds for a label without a suggestion."""
    return visible * costs.place + (1 - visible) * costs.absent


def seconds_saved(point: Suggestion, costs: Costs = STANDARD) -> float:
    """Return the expected seconds that showing a suggestion saves; negative if it costs more."""
    visible = point.visible_probability
    return hidden_seconds(visible, costs) - shown_seconds(visible, point.score, costs)


def is_worth_showing(point: Suggestion, costs: Costs = STANDARD) -> bool:
    """Return whether a label's expected cost is lower with the suggestion shown than without."""
    return seconds_saved(point, costs) > 0


def worth_showing(points: Iterable[SuggestionT], costs: Costs = STANDARD) -> list[SuggestionT]:
    """Return the suggestions that are worth showing, in the same order."""
    return [point for point in points if is_worth_showing(point, costs)]
