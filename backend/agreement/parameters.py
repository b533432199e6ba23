"""Every threshold and limit that the figures of agreement rest on, in one place."""

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from backend.verdicts.judging import GATE, NEAR, SIGMA, UNTOUCHED


class Described(NamedTuple):
    """A parameter as the report prints it."""

    name: str
    value: float | tuple[float, ...]
    documentation: str


def _parameter(default: Any, documentation: str) -> Any:
    """Return a dataclass field that carries a line of documentation."""
    return field(default=default, metadata={"documentation": documentation})


@dataclass(frozen=True, slots=True)
class AgreementParameters:
    """The thresholds and limits of one report; `described` gives each with its documentation."""

    level: float = _parameter(0.95, "Coverage of every interval.")
    draws: int = _parameter(1000, "Bootstrap draws behind every interval that is not Wilson's.")
    seed: int = _parameter(20190501, "Seed of all random draws: any number, the same each time.")
    most_clusters: int = _parameter(
        400, "More images than this are drawn in as many random groups, to save time."
    )
    fewest_images: int = _parameter(5, "With fewer images, a bootstrap interval is not given.")
    most_bins: int = _parameter(
        128, "An interval of a quantile ends at one of at most this many of the values."
    )
    untouched: float = _parameter(
        UNTOUCHED, "A point moved by at most this share of the longer side counts as accepted."
    )
    tau: float = _parameter(
        0.02, "Share of the image's longer side up to which a moved point counts as near."
    )
    tau_px: float = _parameter(5.0, "Distance in px up to which a moved point counts as near.")
    near: float = _parameter(
        NEAR, "Share of the longer side within which two points count as the same place."
    )
    gate: float = _parameter(
        GATE, "Points without a shared id are never paired beyond this share of the longer side."
    )
    alphas: tuple[float, ...] = _parameter(
        (0.02, 0.03, 0.05, 0.10), "Shares of the longer side for which PCK is given."
    )
    sigma: float = _parameter(SIGMA, "Spread σ of every label in object keypoint similarity (OKS).")
    most_tasks: int = _parameter(
        500, "Comparisons that pair points again use at most this many tasks, drawn at random."
    )
    most_groups: int = _parameter(
        50, "Largest number of groups in each table; the largest groups are listed."
    )
    most_labels_confused: int = _parameter(
        40, "The confusion table lists at most the square of this many pairs of labels."
    )
    score_bins: int = _parameter(
        10, "Largest number of bins of scores, each of about the same size."
    )
    fewest_in_a_bin: int = _parameter(20, "Smallest number of suggestions in a bin of scores.")
    most_landmarks: int = _parameter(
        200, "Largest number of landmarks listed; the most annotated ones are."
    )
    most_worst_tasks: int = _parameter(
        10, "Largest number of tasks listed as those with the least agreement."
    )

    def described(self) -> tuple[Described, ...]:
        """Return every parameter with its value and documentation, in the order of declaration."""
        return tuple(
            Described(each.name, getattr(self, each.name), each.metadata["documentation"])
            for each in fields(self)
        )

    def as_method(self) -> dict[str, Any]:
        """Return the entry `method` of the JSON, which allows others to recompute the figures."""
        return {
            "level": self.level,
            "shares": "Wilson",
            "others": "percentile bootstrap over images",
            "draws": self.draws,
            "seed": self.seed,
            "fewest_images": self.fewest_images,
            "untouched": self.untouched,
            "tau": self.tau,
            "tau_px": self.tau_px,
            "near": self.near,
            "gate": self.gate,
            "alphas": list(self.alphas),
            "sigma": self.sigma,
            "normaliser": "longer side of the object where its rectangle is known, of the image",
            "most_tasks": self.most_tasks,
        }
