"""Verdicts → statistics, each with a 95 % interval.

Figures of agreement rest on annotations whose annotators saw the suggestions. Those without are
compared in `anchoring` alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from backend.agreement.columns import CODES, Columns, Floats, load, time_of
from backend.agreement.groups import (
    ALPHAS,
    TAU,
    TAU_PX,
    Totals,
    by_label,
    by_state,
    mean,
    overall,
)
from backend.agreement.intervals import DRAWS, FEWEST_IMAGES, LEVEL, SEED, Clusters, Estimate, share
from backend.agreement.queries import AgreementQueries
from backend.verdicts.judging import GATE, NEAR, SIGMA, UNTOUCHED, VERDICTS
from backend.verdicts.records import Filters

MOST_GROUPS = 50
MOST_LABELS_CONFUSED = 40
SCORE_BINS = 10
FEWEST_IN_A_BIN = 20
# Comparisons that pair points anew look at so many tasks at most, drawn by the seed.
MOST_TASKS = 500
WORST = 10
MOST_LANDMARKS = 200

Points = NDArray[np.float64]
T = TypeVar("T")


def statistics(log: AgreementQueries, filters: Filters) -> dict[str, Any]:
    """All that the log says about agreement, as JSON."""
    everything = load(log, filters)
    was_shown = np.array([bool(row.shown) for row in everything.states], bool)
    columns = everything if was_shown.all() else everything.of_states(was_shown)
    clusters = Clusters.of(columns.images)
    states = columns.states
    totals = Totals(columns)
    figures = overall(totals, clusters)
    figures["choices"] = _choices(log, filters, {row.id for row in states})
    figures["skipped"] = log.skipped(filters)
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "filters": _as_text(asdict(filters)),
        "method": method(),
        "overall": figures,
        "by": {
            "label": by_label(columns, clusters, MOST_GROUPS),
            "class": by_state(totals, clusters, [row.class_name for row in states], MOST_GROUPS),
            "annotator": by_state(
                totals, clusters, [_name(row.annotator) for row in states], MOST_GROUPS
            ),
            "project": by_state(totals, clusters, [row.project_uid for row in states], MOST_GROUPS),
            "model_version": by_state(
                totals, clusters, [row.model_version for row in states], MOST_GROUPS
            ),
            "time": by_state(
                totals, clusters, time_of([row.updated_at for row in states]), MOST_GROUPS
            ),
        },
        "labels": confusion(columns),
        "reliability": reliability(columns),
        "people": people(log, columns),
        "model_versions": model_versions(log, everything),
        "anchoring": anchoring(everything, was_shown, figures, clusters),
        "landmarks": landmarks(columns, clusters),
        "worst_tasks": worst_tasks(columns),
        "not_used": [
            {"reason": reason, "count": count}
            for reason, count in log.unused_reasons(filters).items()
        ],
        "events": log.arrivals(filters),
    }


def method() -> dict[str, Any]:
    """What the figures rest on, so that others can compute them again."""
    return {
        "level": LEVEL,
        "shares": "Wilson",
        "others": "percentile bootstrap over images",
        "draws": DRAWS,
        "seed": SEED,
        "fewest_images": FEWEST_IMAGES,
        "untouched": UNTOUCHED,
        "tau": TAU,
        "tau_px": TAU_PX,
        "near": NEAR,
        "gate": GATE,
        "alphas": list(ALPHAS),
        "sigma": SIGMA,
        "normaliser": "longer side of the object where its rectangle is known, of the image",
        "most_tasks": MOST_TASKS,
    }


def _name(annotator: int | None) -> str:
    return "unknown" if annotator is None else str(annotator)


def _as_text(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _choices(log: AgreementQueries, filters: Filters, state_ids: set[int]) -> dict[str, int]:
    counts = dict.fromkeys(("accepted", "relabelled", "deleted", "added"), 0)
    for row in log.choices(filters):
        if row.state_id in state_ids:
            counts[row.verdict] += row._mapping["count"]
    return {"suggested": sum(counts.values()) - counts["added"]} | counts


# Labels and scores


def confusion(columns: Columns) -> list[dict[str, Any]]:
    """(suggested label, final label, how often); None for deleted, and for added."""
    width = len(columns.labels) + 1
    suggested = np.where(columns.suggested, columns.suggested_label, -1) + 1
    final = np.where(columns.final, columns.final_label, -1) + 1
    counts = np.bincount(suggested * width + final, minlength=width * width)
    names = [None, *columns.labels]
    cells = sorted(np.flatnonzero(counts).tolist(), key=lambda cell: (-counts[cell], cell))
    return [
        {
            "suggested": names[cell // width],
            "final": names[cell % width],
            "count": int(counts[cell]),
        }
        for cell in cells[: MOST_LABELS_CONFUSED**2]
    ]


def reliability(columns: Columns) -> list[dict[str, Any]]:
    """How often suggestions were left untouched, by their score, in bins of equal numbers."""
    rows = columns.suggested & np.isfinite(columns.score)
    score, accepted = columns.score[rows], columns.verdict[rows] == CODES["accepted"]
    if len(score) == 0:
        return []
    bins_at_most = min(SCORE_BINS, max(2, len(score) // FEWEST_IN_A_BIN))
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins_at_most + 1)))
    inner = edges[1:-1]
    place = np.searchsorted(inner, score, side="right")
    bins = []
    for number in range(len(inner) + 1):
        inside = place == number
        if inside.any():
            bins.append(
                {"score": float(score[inside].mean())}
                | {
                    "low_score": float(score[inside].min()),
                    "high_score": float(score[inside].max()),
                }
                | {"accepted": share(int(accepted[inside].sum()), int(inside.sum())).as_json()}
            )
    return bins


# People among themselves


def people(log: AgreementQueries, columns: Columns) -> dict[str, Any]:
    """Annotators compared with one another, and with the detector on the same tasks.

    Points are paired anew within `NEAR`, whatever their ids; labels are compared by Krippendorff's
    α (nominal) over the suggestions that an annotator kept.
    """
    of_task: dict[tuple[str, int], dict[int, int]] = {}
    for place, row in enumerate(columns.states):
        if row.annotator is not None:
            of_task.setdefault((row.project_uid, row.task_id), {})[row.annotator] = place
    shared = [tuple(places.values()) for places in of_task.values() if len(places) > 1]
    chosen = _draw(shared, MOST_TASKS)
    found = _points_by_state(log, [columns.states[p].id for places in chosen for p in places])
    among: list[tuple[float, int]] = []
    detector: list[tuple[float, int]] = []
    for places in chosen:
        rows = [columns.states[place] for place in places]
        image = int(columns.image[places[0]])
        final = [_final(found.get(row.id, [])) for row in rows]
        radius = NEAR * max(rows[0].width, rows[0].height)
        pairs = [_f1(first, second, radius) for first, second in combinations(final, 2)]
        among.append((float(np.mean(pairs)), image))
        against = [
            _f1(_suggested(found.get(row.id, [])), points, radius)
            for row, points in zip(rows, final, strict=True)
        ]
        detector.append((float(np.mean(against)), image))
    human, machine = _alphas(chosen, columns, found)
    return {
        "tasks": len(shared),
        "tasks_compared": len(chosen),
        "human_human": {"f1": _mean_of(among).as_json(), "label_alpha": human},
        "detector_human": {"f1": _mean_of(detector).as_json(), "label_alpha": machine},
    }


def _alphas(
    chosen: Sequence[tuple[int, ...]], columns: Columns, found: dict[int, list[Row[Any]]]
) -> tuple[float | None, float | None]:
    """Krippendorff's α of final labels among people, and of each of them with the detector."""
    of_people: list[dict[str, int]] = []
    with_detector: list[dict[str, int]] = []
    for places in chosen:
        units: dict[tuple[int, int], list[Row[Any]]] = {}
        for place in places:
            state = columns.states[place]
            for row in found.get(state.id, []):
                if row.number is not None and row.final_label is not None:
                    units.setdefault((state.prediction_id, row.number), []).append(row)
        for rows in units.values():
            of_people.append(_counted([row.final_label for row in rows]))
            for row in rows:
                with_detector.append(_counted([row.suggested_label, row.final_label]))
    return nominal_alpha(of_people), nominal_alpha(with_detector)


def _counted(labels: Sequence[str]) -> dict[str, int]:
    return {label: labels.count(label) for label in labels}


def nominal_alpha(units: Sequence[dict[str, int]]) -> float | None:
    """Krippendorff's α; None where fewer than two labels occur or nobody judged the same thing.

    Args:
        units: for each thing that was labelled, how many gave it each label.
    """
    import krippendorff

    judged_twice = [unit for unit in units if sum(unit.values()) > 1]
    labels = sorted({label for unit in judged_twice for label in unit})
    if len(labels) < 2:
        return None
    counts = np.array([[unit.get(label, 0) for label in labels] for unit in judged_twice])
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


# Model versions, each on the same tasks


def model_versions(log: AgreementQueries, columns: Columns) -> list[dict[str, Any]]:
    """Each two model versions on the tasks for which both have a prediction, paired.

    Every version's points are paired anew with what annotators left, also of a version that they
    never saw. The one that they did see has the advantage that they started from it.
    """
    annotated = {(row.project_uid, row.task_id) for row in columns.states}
    several = [(row.project_uid, row.task_id) for row in log.tasks_of_several_versions()]
    tasks = _draw([task for task in several if task in annotated], MOST_TASKS)
    if not tasks:
        return []
    wanted = set(tasks)
    states = [row for row in columns.states if (row.project_uid, row.task_id) in wanted]
    found = _points_by_state(log, [row.id for row in states])
    of_task: dict[tuple[str, int], list[tuple[Row[Any], Points]]] = {}
    for row in states:
        final = _final(found.get(row.id, []))
        of_task.setdefault((row.project_uid, row.task_id), []).append((row, final))
    scores: dict[str, dict[tuple[str, int], float]] = {}
    for project_uid in sorted({project_uid for project_uid, _ in tasks}):
        ids = [task_id for uid, task_id in tasks if uid == project_uid]
        for row in log.detections(project_uid, ids):
            task = (project_uid, row.task_id)
            points = np.array([(p["x"], p["y"]) for p in row.detection["keypoints"]])
            longer = max(row.detection["width"], row.detection["height"])
            f1 = [_f1(points.reshape(-1, 2), final, NEAR * longer) for _, final in of_task[task]]
            scores.setdefault(row.model_version, {})[task] = float(np.mean(f1))
    return [_compared(first, second, scores) for first, second in combinations(sorted(scores), 2)]


def _compared(
    first: str, second: str, scores: dict[str, dict[tuple[str, int], float]]
) -> dict[str, Any]:
    both = sorted(scores[first].keys() & scores[second].keys())
    of_first = np.array([scores[first][task] for task in both])
    of_second = np.array([scores[second][task] for task in both])
    return {
        "first": first,
        "second": second,
        "tasks": len(both),
        "first_f1": _over_images(of_first).as_json(),
        "second_f1": _over_images(of_second).as_json(),
        "difference": _over_images(of_second - of_first).as_json(),
    }


# Anchoring


def anchoring(
    everything: Columns, was_shown: NDArray[np.bool_], shown: dict[str, Any], clusters: Clusters
) -> dict[str, Any]:
    """Agreement where suggestions were shown, and where they were held back.

    Args:
        shown: the figures where they were shown, with the clusters of these.
    """
    withheld = everything.of_states(~was_shown)
    # Other draws than of those who saw them: the two are independent.
    others = Clusters.of(withheld.images, seed=SEED + 1)
    figures = {"shown": shown, "withheld": overall(Totals(withheld), others)}
    found: dict[str, Any] = {
        name: {
            "annotations": each["annotations"],
            "precision": each["precision"],
            "recall": each["recall"],
            "f1": each["f1"],
            "normalised_error": each["normalised_error"]["image"],
            "lead_time": each["lead_time"],
        }
        for name, each in figures.items()
    }
    seen = everything if was_shown.all() else everything.of_states(was_shown)
    draws = [_drawn_f1(seen, clusters), _drawn_f1(withheld, others)]
    found["difference"] = _difference(found, draws)
    return found


def _drawn_f1(columns: Columns, clusters: Clusters) -> Floats | None:
    if columns.images < FEWEST_IMAGES:
        return None
    image, zero = columns.image[columns.state], np.zeros(len(columns.state), np.int64)
    hits = clusters.sums(
        image, zero, 1, columns.suggested_hit.astype(float) + columns.final_hit.astype(float)
    )
    points = clusters.sums(
        image, zero, 1, columns.suggested.astype(float) + columns.final.astype(float)
    )
    top, bottom = clusters.times @ hits[0], clusters.times @ points[0]
    return np.asarray(top[bottom > 0] / bottom[bottom > 0])


def _difference(found: dict[str, Any], draws: Sequence[Floats | None]) -> dict[str, Any]:
    """F1 where suggestions were shown less F1 where not."""
    shown, withheld = (found[name]["f1"]["value"] for name in ("shown", "withheld"))
    if shown is None or withheld is None:
        return Estimate(None, None, None, 0).as_json()
    low = high = None
    first, second = draws
    if first is not None and second is not None:
        count = min(len(first), len(second))
        differences = first[:count] - second[:count]
        low, high = map(float, np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    n = found["withheld"]["annotations"]
    return Estimate(shown - withheld, low, high, n).as_json()


# Landmarks


def landmarks(columns: Columns, clusters: Clusters) -> list[dict[str, Any]]:
    """For each class and label: how often the label, where annotated, is among the suggestions.

    `lift` divides by how often that would be with as many points spread evenly over the object, or
    the image where no object is known.
    """
    rows = np.flatnonzero(columns.final)
    if len(rows) == 0:
        return []
    state, label = columns.state[rows], columns.final_label[rows]
    labels = len(columns.labels)
    _, first, unit = np.unique(state * labels + label, return_index=True, return_inverse=True)
    hit = np.bincount(unit, columns.final_hit[rows], minlength=len(first)) > 0
    chance = _chance(columns)[rows]
    expected = np.bincount(unit, chance) / np.bincount(unit)
    names = sorted({row.class_name for row in columns.states})
    class_of = np.array([names.index(row.class_name) for row in columns.states])
    state, label = state[first], label[first]
    group = class_of[state] * labels + label
    groups, image = len(names) * labels, columns.image[state]
    hits = clusters.sums(image, group, groups, hit.astype(np.float64))
    chances = clusters.sums(image, group, groups, expected)
    annotated = np.bincount(group, minlength=groups)
    largest = np.argsort(-annotated, kind="stable")[:MOST_LANDMARKS].tolist()
    found = [
        {
            "class": names[each // labels],
            "label": columns.labels[each % labels],
            "annotated": int(annotated[each]),
            "found": share(hits[each].sum(), annotated[each]).as_json(),
            "lift": clusters.ratio(
                hits[each], chances[each], len(np.unique(image[group == each])), annotated[each]
            ).as_json(),
        }
        for each in largest
        if annotated[each]
    ]
    return sorted(found, key=lambda one: (one["class"], -one["found"]["value"], one["label"]))


def _chance(columns: Columns) -> Floats:
    """For each row, how likely one of as many random points as were suggested lies near it."""
    suggestions = np.bincount(columns.state[columns.suggested], minlength=len(columns.states))
    area = np.array([row.width * row.height for row in columns.states], np.float64)
    length = np.where(np.isfinite(columns.length), columns.length, columns.image_length)
    around = np.where(np.isfinite(columns.area), columns.area, area[columns.state])
    one = np.minimum(1.0, np.pi * (NEAR * length) ** 2 / around)
    return np.asarray(1 - (1 - one) ** suggestions[columns.state])


# Tasks


def worst_tasks(columns: Columns) -> list[dict[str, Any]]:
    """The tasks whose suggestions and final points agree least, worst first."""
    codes: dict[tuple[str, int], int] = {}
    of_state = np.array(
        [codes.setdefault((row.project_uid, row.task_id), len(codes)) for row in columns.states],
        np.int64,
    )
    task, count = of_state[columns.state], len(codes)
    hits = np.bincount(task, columns.suggested_hit, count)
    hits += np.bincount(task, columns.final_hit, count)
    points = np.bincount(task, columns.suggested, count)
    points += np.bincount(task, columns.final, count)
    changed = np.bincount(task, columns.verdict != CODES["accepted"], count) > 0
    f1 = np.divide(hits, points, out=np.ones(count), where=points > 0)
    order = np.lexsort((np.arange(count), -points, f1))
    names = list(codes)
    found = []
    for place in order[changed[order]][:WORST].tolist():
        states = np.flatnonzero(of_state == place).tolist()
        found.append(
            {
                "project": names[place][0],
                "task": names[place][1],
                "f1": float(f1[place]),
                "states": [columns.states[state].id for state in states],
                "verdicts": _verdicts_of(columns, states),
            }
        )
    return found


def _verdicts_of(columns: Columns, places: Sequence[int]) -> dict[str, int]:
    verdict = columns.verdict[np.isin(columns.state, places)]
    counts = np.bincount(verdict, minlength=len(VERDICTS)).tolist()
    return dict(zip(VERDICTS, counts, strict=True))


# Points of single annotations


def _draw(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, by chance, in their order."""
    if len(items) <= most:
        return list(items)
    drawn = np.random.default_rng(SEED).choice(len(items), most, replace=False)
    return [items[place] for place in np.sort(drawn).tolist()]


def _points_by_state(log: AgreementQueries, state_ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    for row in log.points_of(state_ids):
        found.setdefault(row.state_id, []).append(row)
    return found


def _final(rows: Sequence[Row[Any]]) -> Points:
    return _positions((row.final_x, row.final_y) for row in rows)


def _suggested(rows: Sequence[Row[Any]]) -> Points:
    return _positions((row.suggested_x, row.suggested_y) for row in rows)


def _positions(pairs: Iterator[tuple[float | None, float | None]]) -> Points:
    return np.array([pair for pair in pairs if pair[0] is not None], np.float64).reshape(-1, 2)


def _f1(first: Points, second: Points, radius: float) -> float:
    """One-to-one F1; two empty sets agree."""
    from model.matching import match_points

    if len(first) + len(second) == 0:
        return 1.0
    return 2 * len(match_points(first, second, radius)) / (len(first) + len(second))


def _mean_of(values: Sequence[tuple[float, int]]) -> Estimate:
    numbers = np.array([value for value, _ in values], np.float64)
    images = np.array([image for _, image in values], np.int64)
    clusters = Clusters.of(int(images.max()) + 1 if len(images) else 0)
    return mean(clusters, numbers, images)


def _over_images(values: Floats) -> Estimate:
    return mean(Clusters.of(len(values)), values, np.arange(len(values)))
