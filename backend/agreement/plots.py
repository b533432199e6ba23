"""The plots of the report: SVG, with text as text, so that a page of them is small and readable."""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

BLUE, GREEN, RED, GREY, INK = "#2f6fb3", "#2e8b57", "#c8453c", "#9aa3ad", "#22303c"
# From "as suggested" to "removed"; distinguishable for the colour-blind.
VERDICT_COLOURS = {
    "accepted": "#2e8b57",
    "moved": "#7fb3d5",
    "relabelled": "#f0b94d",
    "moved_and_relabelled": "#d98b2b",
    "deleted": "#c8453c",
    "added": "#8568b0",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,  # a label such as $x$ is no formula
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
LONGEST_NAME = 28
MOST_BARS = 16
MOST_CELLS = 12


def plots(statistics: Mapping[str, Any]) -> dict[str, str]:
    """Name → SVG of every plot that there are figures for."""
    makers: dict[str, tuple[Callable[..., None], Any, tuple[float, float]]] = {}
    by = statistics["by"]
    if statistics["overall"]["points"]["suggested"]:
        makers["pck"] = (_pck, statistics["overall"]["pck"], (4.6, 3.0))
    if len(by["time"]) > 1:
        makers["time"] = (_over_time, by["time"], (4.6, 3.0))
    if len(statistics["reliability"]) > 1:
        makers["reliability"] = (_reliability, statistics["reliability"], (4.6, 3.0))
    if by["label"]:
        labels = by["label"][:MOST_BARS]
        makers["labels"] = (_verdicts, labels, (9.4, 1.1 + 0.3 * len(labels)))
    if len({cell["final"] for cell in statistics["labels"]} - {None}) > 1:
        labels = {cell["final"] for cell in statistics["labels"]}
        height = 1.7 + 0.3 * min(len(labels), MOST_CELLS)
        makers["confusion"] = (_confusion, statistics["labels"], (4.6, height))
    return {
        name: _svg(maker, data, size) for name, (maker, data, size) in makers.items()
    } | _landmarks_by_class(statistics["landmarks"])


def _landmarks_by_class(landmarks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in sorted({each["class"] for each in landmarks})[:6]:
        rows = [each for each in landmarks if each["class"] == name][:MOST_BARS]
        found[f"landmarks {name}"] = _svg(_landmarks, rows, (9.4, 1.1 + 0.28 * len(rows)))
    return found


def _svg(draw: Callable[..., None], data: Any, size: tuple[float, float]) -> str:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE), _any_script():
        figure = Figure(figsize=size)
        draw(figure, data)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


@contextmanager
def _any_script() -> Iterator[None]:
    """Names may be in scripts that Matplotlib's font lacks: the browser, which draws them, not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support .* natively")
        yield


def _pck(figure: Any, pck: Mapping[str, Any]) -> None:
    axes = figure.subplots()
    for name, colour in (("image", BLUE), ("object", GREEN)):
        rows = [row for row in pck[name] if row["value"] is not None]
        if rows:
            alphas = [row["alpha"] for row in rows]
            axes.fill_between(
                alphas, [row["low"] for row in rows], [row["high"] for row in rows],
                color=colour, alpha=0.2, linewidth=0,
            )  # fmt: skip
            values = [row["value"] for row in rows]
            axes.plot(alphas, values, "o-", color=colour, label=f"α × longer side of the {name}")
    axes.set(xlabel="α", ylabel="final points with a suggestion", ylim=(0, 1))
    axes.legend(frameon=False, loc="lower right")
    _percent(axes.yaxis)


def _over_time(figure: Any, groups: Sequence[Mapping[str, Any]]) -> None:
    axes = figure.subplots()
    for name, colour in (("untouched", GREEN), ("within_share", BLUE)):
        rows = [(place, each["acceptance"][name]) for place, each in enumerate(groups)]
        rows = [(place, row) for place, row in rows if row["value"] is not None]
        places = [place for place, _ in rows]
        axes.fill_between(
            places, [row["low"] for _, row in rows], [row["high"] for _, row in rows],
            color=colour, alpha=0.2, linewidth=0,
        )  # fmt: skip
        label = "untouched" if name == "untouched" else "moved a little or not at all"
        axes.plot(places, [row["value"] for _, row in rows], "o-", color=colour, label=label)
    step = max(1, len(groups) // 5)
    axes.set_xticks(range(0, len(groups), step), [each["name"] for each in groups[::step]])
    axes.set(ylabel="accepted", ylim=(0, 1))
    axes.legend(frameon=False, loc="lower left")
    _percent(axes.yaxis)


def _reliability(figure: Any, bins: Sequence[Mapping[str, Any]]) -> None:
    axes = figure.subplots()
    score = [each["score"] for each in bins]
    value = [each["accepted"]["value"] for each in bins]
    low = [each["accepted"]["value"] - each["accepted"]["low"] for each in bins]
    high = [each["accepted"]["high"] - each["accepted"]["value"] for each in bins]
    axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1, label="score = share accepted")
    axes.errorbar(score, value, yerr=[low, high], fmt="o-", color=BLUE, capsize=3)
    axes.set(xlabel="score", ylabel="left untouched", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, loc="upper left")
    _percent(axes.yaxis)


def _verdicts(figure: Any, groups: Sequence[Mapping[str, Any]]) -> None:
    axes = figure.subplots()
    places = list(range(len(groups)))[::-1]
    left = [0.0] * len(groups)
    for name, colour in VERDICT_COLOURS.items():
        width = [float(each["points"][name]) for each in groups]
        axes.barh(places, width, left=left, color=colour, label=name.replace("_", " "), height=0.7)
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.set_yticks(places, [short(each["name"]) for each in groups])
    axes.set(xlabel="points")
    axes.grid(visible=False, axis="y")
    figure.legend(frameon=False, loc="outside upper left", ncols=6, fontsize=9)


def _landmarks(figure: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    axes = figure.subplots()
    places = list(range(len(rows)))[::-1]
    found = [row["found"] for row in rows]
    bars = [each["value"] for each in found]
    low = [each["value"] - each["low"] for each in found]
    high = [each["high"] - each["value"] for each in found]
    axes.barh(places, bars, xerr=[low, high], color=BLUE, ecolor=INK, capsize=2, height=0.65)
    for place, row in zip(places, rows, strict=True):
        lift = row["lift"]["value"]
        text = f"× {lift:.1f} chance" if lift is not None else ""
        axes.text(1.02, place, text, va="center", fontsize=9, transform=axes.get_yaxis_transform())
    axes.set_yticks(places, [f"{short(row['label'])} ({row['annotated']})" for row in rows])
    axes.set(xlim=(0, 1), xlabel="annotated there and among the suggestions")
    axes.grid(visible=False, axis="y")
    _percent(axes.xaxis)


def _confusion(figure: Any, cells: Sequence[Mapping[str, Any]]) -> None:
    sizes: dict[str, int] = {}
    for cell in cells:
        for side in ("suggested", "final"):
            if cell[side] is not None:
                sizes[cell[side]] = sizes.get(cell[side], 0) + cell["count"]
    labels = sorted(sorted(sizes, key=lambda label: -sizes[label])[:MOST_CELLS])
    counts = [[0] * len(labels) for _ in labels]
    for cell in cells:
        if cell["suggested"] in labels and cell["final"] in labels:
            counts[labels.index(cell["suggested"])][labels.index(cell["final"])] += cell["count"]
    shares = [[each / max(sum(row), 1) for each in row] for row in counts]
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(shares):
        for j, value in enumerate(row):
            if counts[i][j]:
                ink = "white" if value > 0.55 else INK
                axes.text(j, i, f"{value:.0%}", ha="center", va="center", color=ink, fontsize=8)
    names = [short(label) for label in labels]
    axes.set_xticks(range(len(labels)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), names)
    axes.set(xlabel="left by annotators", ylabel="suggested")
    axes.grid(visible=False)


def short(name: str) -> str:
    """A name that does not push the plot aside."""
    text = " ".join(name.split()) or "(no label)"
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0))
