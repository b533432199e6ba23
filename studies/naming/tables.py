"""The study's figures as Markdown."""

from collections.abc import Sequence

from model.naming.worth import COST_MODELS, STANDARD, Costs
from studies.naming.accuracy import RADII, Row, Share, mean_error, share
from studies.naming.calibration import calibration_error, ranking, scored
from studies.naming.interactive import AGAIN, ONCE, OPENED, Session, actions_of, followed, share_of
from studies.naming.sequence import (
    EVERYTHING,
    SCRATCH,
    UNNAMED,
    WORTHWHILE,
    Suggested,
    change,
    change_of,
    from_scratch,
    with_names,
    work,
)

# Images of the sequence, the first and the one after the last, counted from 0.
TRUSTED = (10, 200)  # where scores have to be calibrated
THRESHOLDS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the score; 0: the expected cost alone
STRETCHES = ((1, 4), (4, 10), (10, 20), (20, 50), (50, 100), (100, 200))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def accuracy_table(rows: Sequence[Row]) -> str:
    """Return the share of landmarks within each radius, by setting, corrected images and method."""
    methods = list(dict.fromkeys(row.method for row in rows))
    settings = list(dict.fromkeys((row.setting, row.corrected) for row in rows))
    lines = []
    for setting, corrected in settings:
        cells = [f"{setting}, {corrected}"]
        for method in methods:
            chosen = [
                row
                for row in rows
                if (row.method, row.setting, row.corrected) == (method, setting, corrected)
            ]
            cells.append(_accuracy(chosen))
        lines.append(cells)
    return table(["corrected images", *methods], lines)


def _accuracy(rows: Sequence[Row]) -> str:
    if not rows:
        return "–"
    near, far = (share(rows, radius) for radius in RADII)
    return f"{_share(near)} / {_share(far)} ({mean_error(rows):.3f})"


def _share(found: Share) -> str:
    return (
        f"{found.mean:.1f} ± {found.error:.1f}"
        if found.error == found.error
        else f"{found.mean:.1f}"
    )


def calibration_table(suggested: Sequence[Suggested]) -> str:
    """Return calibration, and how well right points and visible labels are told, by stretch."""
    lines = []
    for first, end in (*STRETCHES, TRUSTED):
        part = _stretch(suggested, first, end)
        if not part:
            continue
        found = scored(part)
        lines.append(
            [
                f"{first}–{end - 1}",
                f"{len(found.score)}",
                f"{100 * found.right.mean():.0f} %",
                f"{calibration_error(found.score, found.right):.3f}",
                f"{ranking(found.score, found.right):.2f}",
                f"{ranking(found.visible_probability, found.visible):.2f}",
            ]
        )
    head = ["corrected before", "labels", "right", "ECE", "AUC of right", "AUC of visible"]
    return table(head, lines)


def _stretch(suggested: Sequence[Suggested], first: int, end: int) -> list[Suggested]:
    return [each for each in suggested if first <= each.position < end]


def savings_table(suggested: Sequence[Suggested]) -> str:
    """Return the change of the seconds over the whole sequences, by cost model."""
    lines = []
    for name, costs in COST_MODELS.items():
        works = [work(each, costs) for each in suggested]
        shown = sum(each[WORTHWHILE].shown for each in works)
        right = sum(each[WORTHWHILE].right for each in works)
        minutes = sum(each[SCRATCH].seconds for each in works) / 60
        lines.append(
            [
                name,
                f"{minutes / len({each.sequence for each in suggested}):.0f} min",
                *(_change(suggested, costs, way) for way in (UNNAMED, EVERYTHING, WORTHWHILE)),
                f"{_worst_ten(suggested, costs):+.0f} %",
                f"{100 * right / shown:.0f} %" if shown else "–",
            ]
        )
    ways = [
        "costs",
        SCRATCH,
        UNNAMED,
        EVERYTHING,
        WORTHWHILE,
        "worst ten images",
        "shown are right",
    ]
    return table(ways, lines)


def _change(suggested: Sequence[Suggested], costs: Costs, way: str) -> str:
    found = change_of(suggested, costs, way)
    return f"{found.mean:+.0f} % [{found.low:+.0f}, {found.high:+.0f}]"


def _worst_ten(suggested: Sequence[Suggested], costs: Costs) -> float:
    """Return the greatest change in a stretch of ten positions, over all sequences together."""
    last = max(each.position for each in suggested)
    return max(
        change_of(_stretch(suggested, first, first + 10), costs, WORTHWHILE).mean
        for first in range(0, last + 1, 10)
    )


def stretches_table(suggested: Sequence[Suggested]) -> str:
    """Return the change of seconds and actions by stretch, under the standard costs."""
    lines = []
    for first, end in ((0, 1), *STRETCHES):
        part = _stretch(suggested, first, end)
        if not part:
            continue
        works = [work(each, STANDARD) for each in part]
        actions = sum(each[WORTHWHILE].actions for each in works)
        scratch = sum(each[SCRATCH].actions for each in works)
        lines.append(
            [
                f"{first}–{end - 1}",
                *(_change(part, STANDARD, way) for way in (UNNAMED, EVERYTHING, WORTHWHILE)),
                f"{100 * (actions / scratch - 1):+.0f} %",
                f"{sum(each[WORTHWHILE].shown for each in works) / len(works):.1f}",
            ]
        )
    head = ["corrected before", UNNAMED, EVERYTHING, WORTHWHILE, "actions", "shown an image"]
    return table(head, lines)


def thresholds_table(suggested: Sequence[Suggested]) -> str:
    """Return what a least score does to what is shown and saved, under the standard costs.

    Only images whose scores have to be calibrated count, see `TRUSTED`; there must be some.
    """
    part = _stretch(suggested, *TRUSTED)
    scratch = [from_scratch(each, STANDARD) for each in part]
    visible = sum(len(each.case.example.points) for each in part)
    lines = []
    for threshold in THRESHOLDS:
        works = [with_names(each, STANDARD, everything=False, threshold=threshold) for each in part]
        shown, right = sum(each.shown for each in works), sum(each.right for each in works)
        found = change(works, scratch, [each.case.example.name for each in part])
        lines.append(
            [
                f"{threshold:.1f}" if threshold else "none",
                f"{shown / len(works):.1f}",
                f"{100 * right / shown:.0f} %" if shown else "–",
                f"{100 * right / visible:.0f} %",
                f"{found.mean:+.0f} % [{found.low:+.0f}, {found.high:+.0f}]",
            ]
        )
    head = ["threshold", "shown an image", "shown are right", "landmarks given so", "time"]
    return table(head, lines)


def interactive_table(sessions: Sequence[Session]) -> str:
    """Return the actions an image, by setting and number of corrected images."""
    lines = []
    for setting, corrected in dict.fromkeys((each.setting, each.corrected) for each in sessions):
        part = [each for each in sessions if (each.setting, each.corrected) == (setting, corrected)]
        ways = (
            f"{_share(actions_of(part, way))} ({_share(share_of(part, way))} %)"
            for way in (OPENED, ONCE, AGAIN)
        )
        lines.append(
            [
                f"{setting}, {corrected}",
                _share(actions_of(part, SCRATCH)),
                *ways,
                f"{_share(followed(part))} %",
            ]
        )
    return table(["corrected images", SCRATCH, OPENED, ONCE, AGAIN, "others right at once"], lines)
