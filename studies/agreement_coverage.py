"""The command `python -m studies agreement-coverage`: how often intervals hold the true figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from backend.agreement import clustered, comparisons
from backend.agreement.clustered import Estimate
from backend.agreement.costs import ACTIONS, TimedWork, fit_costs
from backend.agreement.limits import LIMITS
from backend.agreement.linearised import Linearised, linearise
from backend.agreement.parameters import AgreementParameters
from studies import recorded_worlds
from studies.data_options import AT_LEAST_ONE
from studies.recorded_worlds import RecordedCoverage, recorded_coverage

Array = NDArray[np.float64]
Counts = NDArray[np.integer]
Ends = tuple[float, float]

IMAGES = (5, 10, 20, 50, 200)
CORRELATIONS = (0.0, 0.1, 0.2, 0.4)
POINTS = 12  # an image, on average
SIZES = ("12", "1 to 23")
SIGMA = 0.9  # of the logarithm of a distance or time
SHAPE = 2.0  # of gamma times
COSTS = (0.8, 2.0, 1.2, 1.5, 4.0)  # s, of each of `ACTIONS`
OWN_TIMES = (3.0, 5.0, 8.0, 12.0)  # s an annotation, of each annotator
COST_SIGMA = 0.5  # of the logarithm of an annotation's time, where its actions are known
ALPHA = 0.05  # of the tests
# Coverage wanted, %, from so many images on.
WANTED = (92.0, 98.0)
FEWEST = 10
RECORDED_IMAGES, RECORDED_CORRELATION = 20, 0.2
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class World:
    """Images whose points resemble each other, with one random stream."""

    random: np.random.Generator
    images: int
    correlation: float
    sizes: str

    def points(self) -> NDArray[np.int64]:
        """Return (images,) numbers of points."""
        if self.sizes == "12":
            return np.full(self.images, POINTS)
        return self.random.integers(1, 2 * POINTS, self.images)

    def chances(self, mean: float) -> Array:
        """Return (images,) chances of success, beta around `mean` with the world's ICC."""
        if self.correlation == 0 or mean == 0:
            return np.full(self.images, mean)
        size = (1 - self.correlation) / self.correlation
        return self.random.beta(mean * size, (1 - mean) * size, self.images)

    def successes(self, mean: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (images,) beta-binomial successes and their trials."""
        points = self.points()
        return self.random.binomial(points, self.chances(mean)), points

    def logarithms(self, points: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
        """Return normal logarithms, with the world's ICC, and the image of each."""
        image = np.repeat(np.arange(self.images), points)
        shared = self.random.standard_normal(self.images)[image]
        own = self.random.standard_normal(len(image))
        part = self.correlation
        return SIGMA * (math.sqrt(part) * shared + math.sqrt(1 - part) * own), image

    def distances(self, zeros: float) -> tuple[Array, NDArray[np.int64]]:
        """Return lognormal distances, a share of them exactly 0, and the image of each."""
        logarithms, image = self.logarithms(self.points())
        away = self.random.random(len(image)) >= self.chances(zeros)[image]
        return np.where(away, np.exp(logarithms), 0.0), image

    def annotations(self) -> NDArray[np.int64]:
        """Return (images,) numbers of annotations, 1 to 3."""
        return self.random.integers(1, 4, self.images)

    def seconds(self) -> tuple[Array, NDArray[np.int64]]:
        """Return lognormal lead times around 10 s, 2 % of them of an open tab, and their images."""
        logarithms, image = self.logarithms(self.annotations())
        open_tab = self.random.random(len(image)) < 0.02
        return np.where(open_tab, 7200.0, 10 * np.exp(logarithms)), image

    def gamma_seconds(self) -> tuple[Array, NDArray[np.int64]]:
        """Return gamma lead times with a gamma effect of the image, and the image of each."""
        image = np.repeat(np.arange(self.images), self.annotations())
        variance = self.correlation
        effect = np.ones(self.images)
        if variance:
            effect = self.random.gamma(1 / variance, variance, self.images)
        return effect[image] * self.random.gamma(SHAPE, 5.0, len(image)), image

    def timed_work(self) -> TimedWork:
        """Return lead times that add up from what annotators did, 2 % with an open tab beside."""
        image = np.repeat(np.arange(self.images), self.annotations())
        many = self.points()[image]
        shares = self.random.dirichlet((5.5, 1.5, 2.5, 0.5), len(image))
        counts = self.random.multinomial(many, shares).astype(np.float64)
        counts[:, 0] = many
        counts = np.column_stack([counts, self.random.poisson(2, len(image))])
        person = self.random.integers(len(OWN_TIMES), size=len(image))
        shared = self.random.standard_normal(self.images)[image]
        own = self.random.standard_normal(len(image))
        part = self.correlation
        noise = COST_SIGMA * (math.sqrt(part) * shared + math.sqrt(1 - part) * own)
        seconds = (counts @ np.array(COSTS) + np.array(OWN_TIMES)[person]) * np.exp(noise)
        open_tab = self.random.random(len(image)) < 0.02
        seconds += open_tab * self.random.uniform(60, 1500, len(image))
        return TimedWork(counts, seconds, person, image)

    def matches(self, mean: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (images,) 2 · matches and suggestions + final points, the parts of F1."""
        points, chances = self.points(), self.chances(mean)
        found = self.random.binomial(points, chances)
        added = self.random.poisson(0.7 * points * (1 - chances) + 0.3)
        return 2 * found, points + found + added


@dataclass(frozen=True, slots=True)
class Drawn:
    """Intervals of one world: ours, the textbook's with m - 1 degrees, and one without images.

    `held` is for a test: whether it rightly finds no difference.
    """

    estimate: Estimate | None = None
    textbook: Ends | None = None
    unclustered: Ends | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A kind of figure.

    Attributes:
        truth: what the interval should hold, from the ICC.
        draw: makes a world and its intervals.
        bound: whether `WANTED` holds for it.
        fewest: images from which on `WANTED` holds.
    """

    name: str
    truth: Callable[[float], float]
    draw: Callable[[World], Drawn]
    bound: bool = True
    fewest: int = FEWEST


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often intervals hold the truth in one kind of world, and their mean width.

    Attributes:
        given: share of worlds that have an interval.
        covered, error: share of these that hold the truth, with its standard error.
        width: nan for a test.
        textbook, unclustered: the same for those intervals, in the worlds that have ours; nan where
            there is none.
    """

    figure: str
    sizes: str
    correlation: float
    images: int
    given: float
    covered: float
    error: float
    width: float
    textbook: float
    unclustered: float


def textbook_share(successes: Counts, trials: Counts) -> Ends:
    """Return Wilson's interval with n = min(N, p(1 - p)/v)·(z/t)², v linearised, m - 1 degrees."""
    images, points = len(trials), float(trials.sum())
    value = float(successes.sum()) / points
    variance = images / (images - 1) * float(((successes - value * trials) ** 2).sum()) / points**2
    most = points
    if variance > 1e-15:
        factor = (LIMITS.z / LIMITS.t(images - 1)) ** 2
        most = min(points, value * (1 - value) / variance) * factor
    return clustered.wilson(value, most, LIMITS.z)


def textbook_ratio(top: Array | Counts, bottom: Counts) -> Ends:
    """Return r ± t·√v, v linearised, m - 1 degrees."""
    images, total = len(bottom), float(bottom.sum())
    value = float(top.sum()) / total
    variance = images / (images - 1) * float(((top - value * bottom) ** 2).sum()) / total**2
    half = LIMITS.t(images - 1) * math.sqrt(variance)
    return value - half, value + half


def share_of(mean: float) -> Callable[[World], Drawn]:
    """Return what draws a share."""

    def draw(world: World) -> Drawn:
        won, tried = world.successes(mean)
        plain = clustered.wilson(won.sum() / tried.sum(), float(tried.sum()), LIMITS.z)
        return Drawn(clustered.share(won, tried), textbook_share(won, tried), plain)

    return draw


def f1_of(mean: float) -> Callable[[World], Drawn]:
    """Return what draws an F1."""

    def draw(world: World) -> Drawn:
        top, bottom = world.matches(mean)
        return Drawn(clustered.ratio(top, bottom, scale="share"), textbook_ratio(top, bottom))

    return draw


def f1_truth(mean: float) -> float:
    """Return the F1 of all images there are."""
    return 2 * POINTS * mean / (POINTS * (1 + mean + 0.7 * (1 - mean)) + 0.3)


def mean_of(zeros: float) -> Callable[[World], Drawn]:
    """Return what draws a mean distance."""

    def draw(world: World) -> Drawn:
        distances, image = world.distances(zeros)
        top, bottom = np.bincount(image, distances), np.bincount(image)
        return Drawn(clustered.ratio(top, bottom, scale="positive"), textbook_ratio(top, bottom))

    return draw


def quantile_of(zeros: float, q: float) -> Callable[[World], Drawn]:
    """Return what draws a quantile of distances."""
    return lambda world: Drawn(clustered.quantile(*world.distances(zeros), q))


def quantile_truth(zeros: float, q: float) -> float:
    """Return the quantile of all distances there are."""
    return math.exp(SIGMA * NORMAL.inv_cdf((q - zeros) / (1 - zeros))) if q > zeros else 0.0


def gamma_truth(correlation: float) -> float:
    """Return the geometric mean of all gamma times there are."""
    from scipy.special import digamma

    effect = digamma(1 / correlation) + math.log(correlation) if correlation else 0.0
    return 5.0 * math.exp(float(digamma(SHAPE) + effect))


def linearised(world: World, mean: float) -> Linearised:
    """Return a share with its variance."""
    found = linearise(*world.successes(mean))
    if found is None:
        raise ValueError("expected points in some image")
    return found


def independent(world: World) -> Drawn:
    """Return the difference of two groups with the same share."""
    first, second = linearised(world, 0.7), linearised(world, 0.7)
    return Drawn(comparisons.difference_independent(first, second))


def paired(world: World) -> Drawn:
    """Return the difference of two versions that find the same share in the same images."""
    points, chances = world.points(), world.chances(0.7)
    first, second = world.random.binomial(points, chances), world.random.binomial(points, chances)
    return Drawn(comparisons.difference_paired((first, points), (second, points)))


def stratified(world: World) -> Drawn:
    """Return log seconds of shown less withheld tasks in an easy and a hard stratum.

    The hard stratum has most of the withheld images; within a stratum shown tasks take 0.8 times
    as long. There are as many withheld images as the world has images.
    """
    strata = []
    for images, difficulty in ((world.images // 5, 1.0), (world.images - world.images // 5, 4.0)):
        groups = []
        for count, factor in ((2 * (world.images - images) + 2, 0.8), (images, 1.0)):
            part = World(world.random, count, world.correlation, world.sizes)
            seconds, image = part.seconds()
            groups.append(clustered.log_times(seconds * difficulty * factor, image))
        strata.append(comparisons.Stratum(*groups))
    return Drawn(comparisons.difference_stratified(strata))


def cost_of(place: int) -> Callable[[World], Drawn]:
    """Return what measures the cost of one action, from as many annotations as the report needs."""

    def draw(world: World) -> Drawn:
        work, parameters = world.timed_work(), AgreementParameters()
        if len(work.seconds) < parameters.fewest_timed:
            return Drawn(Estimate(None, None, None, 0, 0, ""))
        return Drawn(fit_costs(work, parameters)[place])

    return draw


def equal_groups(world: World) -> Drawn:
    """Test five equal annotators by their shares."""
    test = comparisons.compare_shares([linearised(world, 0.7) for _ in range(5)])
    return Drawn(held=test.p is not None and test.p > ALPHA)


def equal_pairs(mean: float) -> Callable[[World], Drawn]:
    """Return what compares every two of five equal annotators."""

    def draw(world: World) -> Drawn:
        found = comparisons.compare_pairs([linearised(world, mean) for _ in range(5)])
        return Drawn(held=all(pair.p > ALPHA for pair in found))

    return draw


def constant(value: float) -> Callable[[float], float]:
    """Return a truth that is the same at every ICC."""
    return lambda _: value


LOGNORMAL_MEAN = math.exp(SIGMA**2 / 2)
FIGURES = (
    *(Figure(f"share {mean}", constant(mean), share_of(mean)) for mean in (0.3, 0.5, 0.7, 0.9)),
    Figure("share 0.95", constant(0.95), share_of(0.95)),
    *(Figure(f"F1 at {mean}", constant(f1_truth(mean)), f1_of(mean)) for mean in (0.5, 0.7, 0.9)),
    Figure("mean distance (NME)", constant(LOGNORMAL_MEAN), mean_of(0)),
    Figure("mean distance, 60 % exactly 0", constant(0.4 * LOGNORMAL_MEAN), mean_of(0.6)),
    Figure("median distance", constant(quantile_truth(0, 0.5)), quantile_of(0, 0.5)),
    Figure("median, 30 % exactly 0", constant(quantile_truth(0.3, 0.5)), quantile_of(0.3, 0.5)),
    Figure("median, 60 % exactly 0", constant(0.0), quantile_of(0.6, 0.5), bound=False),
    Figure("90th percentile", constant(quantile_truth(0, 0.9)), quantile_of(0, 0.9)),
    Figure("90th, 60 % exactly 0", constant(quantile_truth(0.6, 0.9)), quantile_of(0.6, 0.9)),
    Figure(
        "geometric mean of lognormal seconds",
        constant(10.0),
        lambda world: Drawn(clustered.geometric_mean(*world.seconds())),
    ),
    Figure(
        "geometric mean of gamma seconds",
        gamma_truth,
        lambda world: Drawn(clustered.geometric_mean(*world.gamma_seconds())),
    ),
    Figure(
        "median of lognormal seconds",
        constant(10.0),
        lambda world: Drawn(clustered.median_time(*world.seconds())),
    ),
    Figure("difference of two groups", constant(0.0), independent),
    Figure("paired difference", constant(0.0), paired),
    Figure("stratified difference of log seconds", constant(math.log(0.8)), stratified),
    *(
        Figure(f"cost of an action: {name}", constant(COSTS[place]), cost_of(place), fewest=50)
        for place, name in enumerate(ACTIONS)
    ),
    Figure("test of five equal shares", constant(0.0), equal_groups),
    *(
        Figure(f"pairs of five equal shares {mean}", constant(0.0), equal_pairs(mean), bound=False)
        for mean in (0.7, 0.95)
    ),
)


def cover(
    figure: Figure, sizes: str, correlation: float, images: int, worlds: int, seed: int
) -> Coverage:
    """Draw worlds of one kind and count how many intervals hold the truth."""
    random = np.random.default_rng([seed, images, round(100 * correlation), SIZES.index(sizes)])
    truth = figure.truth(correlation)
    drawn = [figure.draw(World(random, images, correlation, sizes)) for _ in range(worlds)]
    held = [each.held for each in drawn if each.estimate is None]
    given = [each for each in drawn if ends_of(each.estimate)]
    ours = [ends for each in given if (ends := ends_of(each.estimate))]
    held += [holds(ends, truth) for ends in ours]
    widths = [high - low for low, high in ours]
    covered = float(np.mean(held)) if held else math.nan
    return Coverage(
        figure.name,
        sizes,
        correlation,
        images,
        len(held) / worlds,
        covered,
        math.sqrt(covered * (1 - covered) / max(1, len(held))),
        float(np.mean(widths)) if widths else math.nan,
        share_that_holds([each.textbook for each in given], truth),
        share_that_holds([each.unclustered for each in given], truth),
    )


def ends_of(found: Estimate | None) -> Ends | None:
    """Return the interval of an estimate, None without one."""
    if found is None or found.low is None or found.high is None:
        return None
    return found.low, found.high


def holds(ends: Ends, truth: float) -> bool:
    """Return whether an interval holds the truth."""
    return ends[0] <= truth <= ends[1]


def share_that_holds(intervals: Sequence[Ends | None], truth: float) -> float:
    """Return the share of intervals that hold the truth, nan without any."""
    held = [holds(ends, truth) for ends in intervals if ends]
    return float(np.mean(held)) if held else math.nan


def study(
    figures: Sequence[Figure], images: Sequence[int], worlds: int, seed: int
) -> Iterator[Coverage]:
    """Yield the coverage of every figure in every kind of world."""
    for figure in figures:
        for sizes in SIZES:
            for correlation in CORRELATIONS:
                for count in images:
                    yield cover(figure, sizes, correlation, count, worlds, seed)


def percent(share: float) -> str:
    """Return a share as percent, a dash for nan."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def span(shares: Sequence[float]) -> str:
    """Return the lowest and highest of shares as percent."""
    known = [share for share in shares if not math.isnan(share)]
    return f"{percent(min(known))} to {percent(max(known))}" if known else "–"


def is_excepted(found: Coverage) -> bool:
    """Return whether a world is one for which counts alone are printed, or nothing is promised."""
    unbound = {
        figure.name for figure in FIGURES if not figure.bound or found.images < figure.fewest
    }
    few = found.images < LIMITS.fewest_images_extreme
    return found.figure in unbound or (found.figure == "share 0.95" and few)


def outside(found: Coverage) -> bool:
    """Return whether coverage misses `WANTED` by more than twice its error."""
    low, high = (end / 100 for end in WANTED)
    tolerance = 2 * found.error
    wanted = found.images >= FEWEST and not is_excepted(found) and not math.isnan(found.covered)
    return wanted and not low - tolerance <= found.covered <= high + tolerance


def summary(rows: Sequence[Coverage]) -> Iterator[str]:
    """Yield the lines of a table with a row a figure, from `FEWEST` images on."""
    yield "| figure | ours | m − 1 degrees | images ignored |"
    yield "|---|---|---|---|"
    for name in dict.fromkeys(row.figure for row in rows):
        kept = [row for row in rows if row.figure == name and row.images >= FEWEST]
        spans = (
            span([getattr(row, part) for row in kept])
            for part in ("covered", "textbook", "unclustered")
        )
        yield f"| {name} | {' | '.join(spans)} |"


def cell(found: Coverage) -> str:
    """Return coverage ± its error, the mean width, and the share given where it is not all."""
    if math.isnan(found.covered):
        return "none"
    text = f"{percent(found.covered)} ± {100 * found.error:.1f}"
    if not math.isnan(found.width):
        text += f"; {found.width:.3g}"
    return text if found.given == 1 else f"{text} ({100 * found.given:.0f} % given)"


def details(rows: Sequence[Coverage], images: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a table with a row a kind of world, a column a number of images."""
    yield f"| figure | points | ICC | {' | '.join(f'{count} images' for count in images)} |"
    yield f"|---|---|---|{'---|' * len(images)}"
    kinds: dict[tuple[str, str, float], list[str]] = {}
    for row in rows:
        kinds.setdefault((row.figure, row.sizes, row.correlation), []).append(cell(row))
    for (name, sizes, correlation), cells in kinds.items():
        yield f"| {name} | {sizes} | {correlation:g} | {' | '.join(cells)} |"


def recorded_report(rows: Sequence[RecordedCoverage], worlds: int) -> str:
    """Return the table of the worlds that the recorder judged as Markdown."""
    facts = (
        f"{worlds} worlds of {RECORDED_IMAGES} images with ICC {RECORDED_CORRELATION:g}, as "
        "annotations through the recorder, SQLite and the report; coverage in %:"
    )
    return "\n".join([facts, "", *recorded_worlds.table(rows), ""])


def report(rows: Sequence[Coverage], images: Sequence[int], worlds: int) -> str:
    """Return the tables as Markdown."""
    missed = [
        f"- {row.figure}, {row.sizes} points, ICC {row.correlation:g}, {row.images} images: "
        f"{percent(row.covered)} ± {100 * row.error:.1f}"
        for row in rows
        if outside(row)
    ]
    wanted = f"{WANTED[0]:g} to {WANTED[1]:g} %, from {FEWEST} images on, within twice its error"
    return "\n".join(
        [
            f"{worlds} worlds of each kind.",
            "",
            f"Lowest and highest coverage in %, from {FEWEST} images on:",
            "",
            *summary(rows),
            "",
            f"Outside {wanted}:" if missed else f"No coverage is outside {wanted}.",
            *(["", *missed] if missed else []),
            "",
            "Coverage in % ± its standard error; mean width of the interval:",
            "",
            *details(rows, images),
            "",
        ]
    )


@click.command("agreement-coverage")
@click.option(
    "--worlds",
    type=AT_LEAST_ONE,
    default=2000,
    show_default=True,
    metavar="N",
    help="Worlds of each kind.",
)
@click.option(
    "--recorded",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Worlds that go as annotations through the recorder, a second each; 0 for none.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the random numbers.")
@click.option(
    "--only", default="", metavar="WORD", help="Figures with this in their name, else all."
)
@click.option(
    "--report",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Replace the tables in this Markdown file, between its two comments.",
)
def agreement_coverage(worlds: int, recorded: int, seed: int, only: str, path: Path | None) -> None:
    """Measure how often the intervals of the agreement report hold the true figure.

    Draws worlds whose truth is known: 5 to 200 images, ICC 0 to 0.4. Prints tables as Markdown.
    """
    figures = [figure for figure in FIGURES if only in figure.name]
    if not figures:
        names = ", ".join(figure.name for figure in FIGURES)
        raise ValueError(f"expected a word of {names}; got {only}: correct --only")
    count = len(figures) * len(SIZES) * len(CORRELATIONS) * len(IMAGES)
    rows = list(tqdm(study(figures, IMAGES, worlds, seed), total=count, disable=None))
    text = report(rows, IMAGES, worlds)
    if recorded:
        judged = recorded_coverage(recorded, RECORDED_IMAGES, RECORDED_CORRELATION, seed)
        text = f"{recorded_report(judged, recorded)}\n{text}"
    print(text)
    if path:
        write_between(path, text)


BEGIN, END = "<!-- begin of the tables -->", "<!-- end of the tables -->"


def write_between(path: Path, text: str) -> None:
    """Replace what stands between the two comments of a Markdown file.

    Raises:
        ValueError: unless the file has both comments, in their order.
    """
    page = path.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"expected the lines {BEGIN} and {END} in {path}: add them")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")
