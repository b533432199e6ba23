"""Every threshold and limit that the figures of agreement rest on, in one place."""

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from backend.agreement.limits import LIMITS, Limits
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

    level: float = _parameter(LIMITS.level, "Coverage of every interval.")
    fewest_images_share: int = _parameter(
        LIMITS.fewest_images_share, "Images that the interval of a share needs."
    )
    fewest_images: int = _parameter(
        LIMITS.fewest_images, "Images that the interval of any other figure needs."
    )
    extreme_share: float = _parameter(
        LIMITS.extreme_share, "A share this close to 0 or 1 counts as extreme."
    )
    fewest_images_extreme: int = _parameter(
        LIMITS.fewest_images_extreme, "Images that the interval of an extreme share needs."
    )
    longest_seconds: float = _parameter(
        LIMITS.longest_seconds,
        "A longer lead time (s) is an open tab, not work: it is left out and counted, as is 0.",
    )
    fewest_withheld: int = _parameter(
        LIMITS.fewest_withheld, "Withheld images that a comparison with shown suggestions needs."
    )
    hasty_seconds: float = _parameter(
        1.0, "An unchanged annotation of less time a point (s) counts as hasty."
    )
    fewest_annotations_flagged: int = _parameter(
        20, "Annotations from which on an annotator may be flagged for haste."
    )
    look_seconds: float = _parameter(0.5, "Estimated time (s) to look at a suggestion.")
    move_seconds: float = _parameter(1.5, "Estimated time (s) to move a point.")
    delete_seconds: float = _parameter(1.5, "Estimated time (s) to delete a point.")
    name_seconds: float = _parameter(1.5, "Estimated time (s) to choose another label.")
    add_seconds: float = _parameter(
        3.3, "Estimated time (s) to draw a point, with the choice of its label."
    )
    fewest_timed: int = _parameter(
        50, "Annotations with a lead time from which on costs are measured."
    )
    most_timed: int = _parameter(
        4000, "Costs are measured from at most this many annotations, drawn at random."
    )
    widest_cost: float = _parameter(
        0.5,
        "A measured cost replaces the default where half of its interval is at most this share of"
        " the larger of both.",
    )
    wanted_half_width: float = _parameter(
        0.05, "Half width of the interval of the acceptance that the images should give."
    )
    time_differences: tuple[float, ...] = _parameter(
        (0.10, 0.20), "Differences in lead time for which the withheld images needed are given."
    )
    power: float = _parameter(0.8, "Chance to see such a difference that these images should give.")
    change_draws: int = _parameter(
        999, "Random orders of the images in the test of a change of acceptance."
    )
    fewest_tasks_labelled: int = _parameter(
        10, "Tasks that the interval of the agreement of labels needs."
    )
    most_annotators_paired: int = _parameter(
        12, "Largest number of annotators in the matrix of pairs; those who share most tasks are."
    )
    seed: int = _parameter(20190501, "Seed of all random draws: any number, the same each time.")
    untouched: float = _parameter(
        UNTOUCHED, "A point moved by at most this share of the longer side counts as accepted."
    )
    tau: float = _parameter(
        0.02, "Share of the longer side up to which a moved point counts as near."
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

    @property
    def limits(self) -> Limits:
        """What intervals need."""
        return Limits(**{each.name: getattr(self, each.name) for each in fields(Limits)})

    def described(self) -> tuple[Described, ...]:
        """Return every parameter with its value and documentation, in the order of declaration."""
        return tuple(
            Described(each.name, getattr(self, each.name), each.metadata["documentation"])
            for each in fields(self)
        )

    def as_method(self) -> dict[str, Any]:
        """Return the entry `method` of the JSON, which allows others to recompute the figures."""
        values = {each.name: each.value for each in self.described()}
        return {
            "cluster": "image (project, task)",
            "normaliser": "longer side of the object where its rectangle is known, of the image",
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in values.items()
            },
        }
