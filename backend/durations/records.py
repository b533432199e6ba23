"""What is measured, and the buckets that it is counted in."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Literal

# Upper bounds, s; each also as Prometheus writes it. A change begins new buckets beside the old.
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 1800.0)
BOUND_NAMES = (*(f"{bound:g}" for bound in BOUNDS), "+Inf")

# Time from the latest request for a suggestion until Label Studio gets it, by way of delivery, and
# the time of a stage of the work, by stage.
Measured = Literal["suggestion", "stage"]
Stage = Literal["queue", "fetch", "decode", "detect", "write", "deliver"]
STAGES: tuple[Stage, ...] = ("queue", "fetch", "decode", "detect", "write", "deliver")
WAYS = ("reply", "push", "interactive")


@dataclass(slots=True)
class Series:
    """Counts of durations in buckets.

    Attributes:
        counts: of each bucket alone, in the order of `BOUND_NAMES`.
        seconds: sum of the durations in each bucket.
    """

    counts: list[int] = field(default_factory=lambda: [0] * len(BOUND_NAMES))
    seconds: list[float] = field(default_factory=lambda: [0.0] * len(BOUND_NAMES))

    def add(self, seconds: float) -> None:
        """Count a duration; a clock that was set back makes none shorter than 0."""
        duration = max(0.0, seconds)
        place = bisect_left(BOUNDS, duration)
        self.counts[place] += 1
        self.seconds[place] += duration

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, count of all up to it), as Prometheus wants them."""
        total, found = 0, []
        for name, count in zip(BOUND_NAMES, self.counts, strict=True):
            total += count
            found.append((name, float(total)))
        return found
