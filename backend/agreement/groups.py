"""Figures of agreement for groups of verdicts, each with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.agreement.columns import CODES, Columns, Flags, Floats, Integers
from backend.agreement.intervals import NOTHING, Clusters, Estimate, share
from backend.verdicts.judging import ACCEPTED, MOVED, SIGMA, VERDICTS

ALPHAS = (0.02, 0.03, 0.05, 0.10)
TAU = 0.02  # share of the longer side of the image up to which a moved point counts as accepted
TAU_PX = 5.0

PAIRED = tuple(code for name, code in CODES.items() if name not in ("deleted", "added"))


@dataclass(frozen=True)
class Groups:
    """What the figures of some groups of verdicts are made of.

    Attributes:
        sums: name → (groups, clusters).
        counts: (groups, kinds of verdict).
        images: how many images each group is about.
        moved: distance, image and group of every point that was moved; px.
    """

    clusters: Clusters
    sums: dict[str, Floats]
    counts: Integers
    images: Integers
    moved: tuple[Floats, Integers, Integers]

    def figures(self, group: int) -> dict[str, Any]:
        """Every figure of one group, as JSON."""
        counts = self.counts[group]
        return {
            "points": {"suggested": int(counts.sum() - counts[CODES["added"]])}
            | {name: int(counts[code]) for name, code in CODES.items()},
            "images": int(self.images[group]),
            "acceptance": {
                "untouched": self._share("accepted", "suggested", group),
                "within_share": self._share("within_share", "suggested", group),
                "within_px": self._share("within_px", "suggested", group),
            },
            "precision": self._share("suggested_hit", "suggested", group),
            "recall": self._share("final_hit", "final", group),
            "f1": self._ratio("hits", "points", group),
            "pck": {
                "image": self._pck("image", "final", group),
                "object": self._pck("object", "final of object", group),
            },
            "normalised_error": {
                "image": self._ratio("image error", "paired", group),
                "object": self._ratio("object error", "paired of object", group),
            },
            "displacement_px": self._displacement(group),
            "oks": self._ratio("oks", "objects", group),
        }

    def _pck(self, normaliser: str, of: str, group: int) -> list[dict[str, Any]]:
        return [
            {"alpha": alpha} | self._share(f"{normaliser} {alpha}", of, group) for alpha in ALPHAS
        ]

    def _share(self, successes: str, trials: str, group: int) -> dict[str, Any]:
        sums = self.sums
        return share(sums[successes][group].sum(), sums[trials][group].sum()).as_json()

    def _ratio(self, top: str, bottom: str, group: int) -> dict[str, Any]:
        below = self.sums[bottom][group]
        images = int(self.images[group])
        return self.clusters.ratio(self.sums[top][group], below, images, below.sum()).as_json()

    def _displacement(self, group: int) -> dict[str, Any]:
        values, image, of_group = self.moved
        rows = of_group == group
        median, p90 = self.clusters.quantiles(values[rows], image[rows], (0.5, 0.9))
        return {"median": median.as_json(), "p90": p90.as_json()}


class Totals:
    """Sums over the verdicts of each annotation, from which those of groups are made."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        states = len(columns.states)
        self._sums: dict[str, Floats] = {
            name: np.bincount(columns.state[rows], values, states).astype(np.float64)
            for name, (_, rows, values) in _parts(columns).items()
        }
        for name, (state, values) in _similarities(columns).items():
            self._sums[name] = np.bincount(state, values, states).astype(np.float64)
        _derive(self._sums)
        self._counts = _counts(columns, columns.state, states)
        rows = _moved(columns)
        self._moved = columns.displacement[rows], columns.state[rows]
        seconds = [row.lead_time for row in columns.states]
        self._lead_time = np.array(seconds, np.float64)
        self._task = _codes([(row.project_uid, row.task_id) for row in columns.states])
        self._annotator = _codes([row.annotator for row in columns.states])

    def grouped(self, clusters: Clusters, of_state: Integers, groups: int) -> list[dict[str, Any]]:
        """The figures of each group of annotations."""
        image = self.columns.image
        values, state = self._moved
        counts = np.zeros((groups, len(VERDICTS)), np.int64)
        np.add.at(counts, of_state, self._counts)
        found = Groups(
            clusters,
            {
                name: clusters.sums(image, of_state, groups, each)
                for name, each in self._sums.items()
            },
            counts,
            _different(of_state, image, groups),
            (values, image[state], of_state[state]),
        )
        return [
            found.figures(group) | self._of_states(clusters, of_state == group)
            for group in range(groups)
        ]

    def _of_states(self, clusters: Clusters, chosen: Flags) -> dict[str, Any]:
        timed = chosen & np.isfinite(self._lead_time)
        lead_time = mean(clusters, self._lead_time[timed], self.columns.image[timed])
        return {
            "annotations": int(chosen.sum()),
            "tasks": len(np.unique(self._task[chosen])),
            "annotators": len(np.unique(self._annotator[chosen])),
            "lead_time": lead_time.as_json(),
        }


def _parts(columns: Columns) -> dict[str, tuple[str, Flags, Floats | None]]:
    """For each sum: the side whose label counts, the rows, and their values; None counts them."""
    image = columns.displacement / columns.image_length
    object_ = columns.displacement / columns.length
    kept = np.isin(columns.verdict, (CODES[ACCEPTED], CODES[MOVED])) & columns.suggested
    paired = np.isin(columns.verdict, PAIRED) & columns.final
    with_object = np.isfinite(columns.length)
    parts: dict[str, tuple[str, Flags, Floats | None]] = {
        "suggested": ("suggested", columns.suggested, None),
        "accepted": ("suggested", kept & (columns.verdict == CODES[ACCEPTED]), None),
        "within_share": ("suggested", kept & (image <= TAU), None),
        "within_px": ("suggested", kept & (columns.displacement <= TAU_PX), None),
        "suggested_hit": ("suggested", columns.suggested_hit, None),
        "final": ("final", columns.final, None),
        "final_hit": ("final", columns.final_hit, None),
        "final of object": ("final", columns.final & with_object, None),
        "paired": ("final", paired, None),
        "paired of object": ("final", paired & with_object, None),
        "image error": ("final", paired, image[paired]),
        "object error": ("final", paired & with_object, object_[paired & with_object]),
    }
    for alpha in ALPHAS:
        parts[f"image {alpha}"] = ("final", paired & (image <= alpha), None)
        parts[f"object {alpha}"] = ("final", paired & (object_ <= alpha), None)
    return parts


def _derive(sums: dict[str, Floats]) -> None:
    sums["hits"] = sums["suggested_hit"] + sums["final_hit"]
    sums["points"] = sums["suggested"] + sums["final"]


def _similarities(
    columns: Columns, group: Integers | None = None
) -> dict[str, tuple[Integers, Floats | None]]:
    """The annotation and the similarity of each object, or of each part of it in a group.

    Of an object: the mean over its final points of exp(-d² / (2 s² k²)), with d the distance of
    the suggestion, infinite where there was none, s² the object's area and k = 2σ.

    Source: COCO keypoint evaluation, as pycocotools computes it.
    """
    rows = columns.final & np.isfinite(columns.area)
    paired = np.isin(columns.verdict, PAIRED)[rows]
    similarity = np.zeros(len(paired))
    squared = columns.displacement[rows][paired] ** 2
    area = columns.area[rows][paired] + np.spacing(1)
    similarity[paired] = np.exp(-squared / (2 * SIGMA) ** 2 / area / 2)
    state = columns.state[rows]
    objects = int(columns.object.max(initial=-1)) + 2
    key = state * objects + columns.object[rows] + 1
    if group is not None:
        key = key * (int(group.max(initial=0)) + 1) + group[rows]
    _, first, instance = np.unique(key, return_index=True, return_inverse=True)
    points = np.bincount(instance, minlength=len(first))
    mean = np.bincount(instance, similarity, minlength=len(first)) / points
    owner = np.flatnonzero(rows)[first] if group is not None else state[first]
    return {"oks": (owner, mean), "objects": (owner, None)}


def _counts(columns: Columns, group: Integers, groups: int) -> Integers:
    """(groups, kinds): how many verdicts there are of each kind."""
    counted = columns.suggested | (columns.final & (columns.verdict == CODES["added"]))
    place = group[counted] * len(VERDICTS) + columns.verdict[counted]
    total = np.bincount(place, minlength=groups * len(VERDICTS))
    return np.asarray(total.reshape(groups, len(VERDICTS)), np.int64)


def _moved(columns: Columns) -> Flags:
    moved = np.isin(columns.verdict, (CODES[MOVED], CODES["moved_and_relabelled"]))
    return np.asarray(moved & columns.final)


def _different(group: Integers, image: Integers, groups: int) -> Integers:
    """How many images each group has."""
    images = int(image.max(initial=0)) + 1
    seen = np.unique(group * images + image)
    return np.bincount(seen // images, minlength=groups)


def _codes(values: Sequence[Any]) -> Integers:
    known: dict[Any, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


def mean(clusters: Clusters, values: Floats, image: Integers) -> Estimate:
    """The mean of values, each of an image, with an interval over images."""
    if len(values) == 0:
        return NOTHING
    group = np.zeros(len(values), np.int64)
    top = clusters.sums(image, group, 1, values)[0]
    bottom = clusters.sums(image, group, 1, None)[0]
    return clusters.ratio(top, bottom, len(np.unique(image)), len(values))


def overall(totals: Totals, clusters: Clusters) -> dict[str, Any]:
    """The figures of all verdicts together."""
    return totals.grouped(clusters, np.zeros(len(totals.columns.states), np.int64), 1)[0]


def by_state(
    totals: Totals, clusters: Clusters, names: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """The figures of each group of annotations, named one by one; the `most` largest groups."""
    found, codes = np.unique(np.array(names, object).astype(str), return_inverse=True)
    sizes = np.bincount(codes, minlength=len(found))
    largest = np.sort(np.argsort(-sizes, kind="stable")[:most])
    # All that is left out makes one more group, which nobody asks for.
    place = np.full(len(found), len(largest), np.int64)
    place[largest] = np.arange(len(largest))
    figures = totals.grouped(clusters, place[codes], len(largest) + 1)
    return [
        {"name": str(found[group])} | each
        for group, each in zip(largest.tolist(), figures[:-1], strict=True)
    ]


def by_label(columns: Columns, clusters: Clusters, most: int) -> list[dict[str, Any]]:
    """The figures of each label: of suggestions that bore it, and of final points that bear it."""
    labels = len(columns.labels)
    if labels == 0:
        return []
    image = columns.image[columns.state]
    of = {
        "suggested": np.where(columns.suggested, columns.suggested_label, 0),
        "final": np.where(columns.final, columns.final_label, 0),
    }
    sums = {
        name: clusters.sums(image[rows], of[side][rows], labels, values)
        for name, (side, rows, values) in _parts(columns).items()
    }
    for name, (row, values) in _similarities(columns, of["final"]).items():
        sums[name] = clusters.sums(image[row], of["final"][row], labels, values)
    _derive(sums)
    group = np.concatenate([of[side][getattr(columns, side)] for side in of])
    seen = np.concatenate([image[getattr(columns, side)] for side in of])
    moved = _moved(columns)
    found = Groups(
        clusters,
        sums,
        _counts(columns, np.where(columns.suggested, of["suggested"], of["final"]), labels),
        _different(group, seen, labels),
        (columns.displacement[moved], image[moved], of["final"][moved]),
    )
    sizes = np.bincount(group, minlength=labels)
    chosen = [label for label in np.argsort(-sizes, kind="stable")[:most].tolist() if sizes[label]]
    order = sorted(chosen, key=lambda label: columns.labels[label])
    return [{"name": columns.labels[label]} | found.figures(label) for label in order]
