"""The plots of the report, as SVG whose text stays text, so that the page is small and readable."""

import io
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from backend.agreement.clustered import Estimate
from backend.agreement.figures import AgreementReport
from backend.agreement.group_figures import (
    AnnotationFigures,
    ByLongerSide,
    NamedGroup,
    PckAt,
    PointFigures,
)
from backend.agreement.landmarks import LandmarkFigures
from backend.agreement.offset_panels import draw_offsets, drawn_offsets, panels_size
from backend.agreement.scores import ConfusionCell, ReliabilityBin

T = TypeVar("T")

BLUE, GREY, INK, ORANGE = "#2f6fb3", "#9aa3ad", "#22303c", "#d98b2b"
# From "as suggested" to "removed"; the colour-blind tell every two of them apart.
VERDICT_COLOURS = {
    "accepted": "#1b9e77",
    "moved": "#9fd3f0",
    "relabelled": "#f7d46a",
    "moved_and_relabelled": "#d55e00",
    "deleted": "#7a1f1f",
    "added": "#8568b0",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,  # a label such as $x$ is not a formula
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#e6e9ec",
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
}
SMALL = (4.6, 3.0)  # width and height of a plot in half a column, inches
WIDE = 9.4
LONGEST_NAME = 28
MOST_BARS = 16
MOST_TICKS = 4  # names of periods along a plot of half a column
MOST_CELLS = 12
SLANTED = 0.09  # height of a character of a name written at 45°, inches
CELL_COLOURS, DARKEST = "Blues", 1.8  # a share of 1 is not so dark that its text is lost
MOST_CLASSES = 6
OFFSETS = "offsets"  # name of the plot that stands with the annotators


def plots(report: AgreementReport) -> dict[str, str]:
    """Draw every plot for which the report has figures.

    Returns:
        Name → SVG; the plot of a class's landmarks is called "landmarks " and the class.
    """
    found: dict[str, str] = {}
    overall = report.overall.figures.agreement
    if any(row.share.value is not None for row in overall.pck.image):
        found["pck"] = draw_svg(_draw_pck, overall.pck, SMALL)
    accepted = [each.figures.agreement.acceptance.untouched for each in report.by.time]
    if len(accepted) > 1 and any(each.value is not None for each in accepted):
        found["time"] = draw_svg(_draw_over_time, report.by.time, SMALL)
    if len(report.reliability) > 1:
        found["reliability"] = draw_svg(_draw_reliability, report.reliability, SMALL)
    if report.by.label:
        labels = largest(report.by.label)
        found["labels"] = draw_svg(_draw_verdicts, labels, (WIDE, 1.1 + 0.3 * len(labels)))
    kept = [cell for cell in report.labels if cell.suggested is not None and cell.final is not None]
    suggested = {cell.suggested for cell in kept}
    if len(suggested | {cell.final for cell in kept}) > 1:
        longest = max(len(short(cell.final or "")) for cell in kept)
        height = 1.2 + 0.3 * min(len(suggested), MOST_CELLS) + SLANTED * longest
        found["confusion"] = draw_svg(_draw_confusion, kept, (SMALL[0], height))
    drawn = drawn_offsets(report.offsets.offsets)
    if drawn:
        found[OFFSETS] = draw_svg(draw_offsets, drawn, panels_size(drawn))
    return found | _landmarks_by_class(report.landmarks)


def _landmarks_by_class(landmarks: Sequence[LandmarkFigures]) -> dict[str, str]:
    """Draw the landmarks of the classes that are annotated most."""
    of_class: dict[str, list[LandmarkFigures]] = {}
    for each in landmarks:
        of_class.setdefault(each.class_name, []).append(each)
    sizes = {name: sum(_annotated(each) for each in rows) for name, rows in of_class.items()}
    found: dict[str, str] = {}
    for name in sorted(sorted(of_class, key=lambda name: -sizes[name])[:MOST_CLASSES]):
        rows = _most(of_class[name], _annotated, MOST_BARS)
        found[f"landmarks {name}"] = draw_svg(_draw_landmarks, rows, (WIDE, 1.1 + 0.28 * len(rows)))
    return found


def _annotated(landmark: LandmarkFigures) -> int:
    return landmark.shown.annotated + landmark.withheld.annotated


def _most(rows: Sequence[T], size: Callable[[T], int], most: int) -> list[T]:
    """Return the largest rows, in the order that they had."""
    sizes = [size(each) for each in rows]
    order = sorted(range(len(rows)), key=lambda place: -sizes[place])
    return [rows[place] for place in sorted(order[:most])]


def load_matplotlib() -> Any:
    """Import Matplotlib with the parts that plots need, which takes longer than to draw them."""
    import matplotlib
    import matplotlib.backends.backend_svg
    import matplotlib.figure

    matplotlib.use("svg")
    return matplotlib


def draw_svg(draw: Callable[[Any, Any], None], data: object, size: tuple[float, float]) -> str:
    """Draw on a new Matplotlib figure and return it as an SVG element."""
    matplotlib = load_matplotlib()
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE), _without_font_warnings():
        figure = Figure(figsize=size)
        draw(figure, data)
        buffer = io.StringIO()
        # `savefig` would draw everything twice.
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


@contextmanager
def _without_font_warnings() -> Iterator[None]:
    """Silence warnings about scripts that Matplotlib's font lacks: the browser's fonts are used."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support .* natively")
        yield


def _draw_pck(figure: Any, pck: ByLongerSide[tuple[PckAt, ...]]) -> None:
    axes = figure.subplots()
    for name, rows, colour in (("image", pck.image, BLUE), ("object", pck.object, ORANGE)):
        known = [row for row in rows if row.share.value is not None]
        if known:
            alphas, shares = [row.alpha for row in known], [row.share for row in known]
            label = f"α × longer side of the {name}"
            _draw_line(axes, alphas, shares, colour=colour, label=label)
    axes.set(xlabel="α", ylabel="final points with a suggestion", ylim=(0, 1))
    axes.legend(frameon=False, loc="lower right")
    _percent(axes.yaxis)


def _draw_over_time(figure: Any, groups: Sequence[NamedGroup[AnnotationFigures]]) -> None:
    axes = figure.subplots()
    accepted = [each.figures.agreement.acceptance for each in groups]
    for label, shares, colour in (
        ("moved a little or not at all", [each.within_share for each in accepted], BLUE),
        ("untouched", [each.untouched for each in accepted], ORANGE),
    ):
        places = [place for place, each in enumerate(shares) if each.value is not None]
        known = [shares[place] for place in places]
        _draw_line(axes, places, known, colour=colour, label=label)
    step = math.ceil(len(groups) / MOST_TICKS)
    axes.set_xticks(range(0, len(groups), step), [each.name for each in groups[::step]])
    axes.set(ylabel="accepted", ylim=(0, 1))
    figure.legend(frameon=False, loc="outside upper left", ncols=2, fontsize=9)
    _percent(axes.yaxis)


def _draw_line(
    axes: Any, x: Sequence[float], shares: Sequence[Estimate], *, colour: str, label: str
) -> None:
    """Draw shares as a line in a band of their intervals."""
    low = [math.nan if each.low is None else each.low for each in shares]
    high = [math.nan if each.high is None else each.high for each in shares]
    axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(x, [each.value for each in shares], "o-", color=colour, label=label)


def _draw_reliability(figure: Any, bins: Sequence[ReliabilityBin]) -> None:
    axes = figure.subplots()
    accepted = [each.accepted for each in bins]
    axes.errorbar(
        [each.score for each in bins],
        [each.value for each in accepted],
        yerr=_bar_lengths(accepted),
        fmt="o-",
        color=BLUE,
        capsize=3,
    )
    # No diagonal: the score orders suggestions, and is not the chance that one is accepted.
    axes.set(xlabel="score", ylabel="left untouched", xlim=(0, 1), ylim=(0, 1))
    _percent(axes.yaxis)


def _bar_lengths(estimates: Sequence[Estimate]) -> tuple[list[float], list[float]]:
    """Return how far the error bars reach below and above each figure; 0 without an interval."""
    below, above = [], []
    for each in estimates:
        value = each.value or 0.0
        below.append(0.0 if each.low is None else value - each.low)
        above.append(0.0 if each.high is None else each.high - value)
    return below, above


def _draw_verdicts(figure: Any, groups: Sequence[NamedGroup[PointFigures]]) -> None:
    axes = figure.subplots()
    places = list(range(len(groups)))[::-1]
    left = [0.0] * len(groups)
    for name, colour in VERDICT_COLOURS.items():
        width = [float(each.figures.points.by_verdict[name]) for each in groups]
        axes.barh(places, width, left=left, color=colour, label=name.replace("_", " "), height=0.7)
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.set_yticks(places, [short(each.name) for each in groups])
    axes.set(xlabel="points")
    axes.grid(visible=False, axis="y")
    figure.legend(frameon=False, loc="outside upper left", ncols=6, fontsize=9)


def largest(groups: Sequence[NamedGroup[PointFigures]]) -> list[NamedGroup[PointFigures]]:
    """Return the groups with the most points, as many as there is room for, in their order."""
    return _most(groups, lambda each: sum(each.figures.points.by_verdict.values()), MOST_BARS)


def _draw_landmarks(figure: Any, rows: Sequence[LandmarkFigures]) -> None:
    axes = figure.subplots()
    places = list(range(len(rows)))[::-1]
    found = [row.shown.found for row in rows]
    bars, errors = [each.value or 0.0 for each in found], _bar_lengths(found)
    withheld = [(place, row.withheld.found) for place, row in zip(places, rows, strict=True)]
    known = [(place, each) for place, each in withheld if each.value is not None]
    axes.barh(places, bars, xerr=errors, color=BLUE, ecolor=INK, capsize=2, height=0.65)
    if known:
        axes.errorbar(
            [each.value for _, each in known],
            [place for place, _ in known],
            xerr=_bar_lengths([each for _, each in known]),
            fmt="D",
            color=ORANGE,
            markersize=5,
            clip_on=False,
            capsize=2,
            label="withheld",
        )
    for place, row in zip(places, rows, strict=True):
        text = _times_chance(row.shown.lift, row.withheld.lift)
        axes.text(1.02, place, text, va="center", fontsize=9, transform=axes.get_yaxis_transform())
    axes.set_yticks(places, [f"{short(row.label)} ({row.shown.annotated})" for row in rows])
    axes.set(xlim=(0, 1), xlabel="annotated there and among the suggestions")
    axes.grid(visible=False, axis="y")
    _percent(axes.xaxis)


def _times_chance(shown: Estimate, withheld: Estimate) -> str:
    """Return the lift over shown suggestions, then in brackets that over withheld ones."""
    text = "" if shown.value is None else f"× {shown.value:.1f} chance"
    return text if withheld.value is None else f"{text} (withheld × {withheld.value:.1f})".strip()


def _draw_confusion(figure: Any, cells: Sequence[ConfusionCell]) -> None:
    rows = _most_frequent([(cell.suggested, cell.count) for cell in cells])
    columns = _most_frequent([(cell.final, cell.count) for cell in cells])
    counts, kept = [[0] * len(columns) for _ in rows], dict.fromkeys(rows, 0)
    for cell in cells:
        if cell.suggested in rows:
            kept[cell.suggested] += cell.count
        if cell.suggested in rows and cell.final in columns:
            counts[rows.index(cell.suggested)][columns.index(cell.final)] += cell.count
    shares = [[each / kept[name] for each in row] for name, row in zip(rows, counts, strict=True)]
    axes = figure.subplots()
    axes.imshow(shares, cmap=CELL_COLOURS, vmin=0, vmax=DARKEST, aspect="auto")
    for i, row in enumerate(shares):
        for j, value in enumerate(row):
            if counts[i][j]:
                axes.text(j, i, f"{value:.0%}", ha="center", va="center", fontsize=8)
    names = [short(label) for label in columns]
    axes.set_xticks(range(len(columns)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), [short(label) for label in rows])
    axes.set(xlabel="left by annotators", ylabel="suggested")
    axes.grid(visible=False)


def _most_frequent(counted: Iterable[tuple[str | None, int]]) -> list[str]:
    """Return the labels that occur most, as many as there is room for, in alphabetical order."""
    sizes: dict[str, int] = {}
    for label, count in counted:
        if label is not None:
            sizes[label] = sizes.get(label, 0) + count
    return sorted(sorted(sizes, key=lambda label: -sizes[label])[:MOST_CELLS])


def short(name: str) -> str:
    """Return a name short enough to leave room for the plot."""
    text = " ".join(name.split()) or "(no label)"
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0))
