"""Annotating a pool of images in different orders: what is found on others after so many."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model.naming.acquisition import covering_first, expected_corrections, farthest_first
from model.naming.descriptor import descriptor
from model.naming.learner import NamingModel
from model.naming.worth import STANDARD
from studies.naming.accuracy import PER_CLASS, RADII, distances, learn
from studies.naming.cases import Case
from studies.naming.sequence import Suggested, from_scratch, with_names

FIRST = 3  # images that are drawn at random, because nothing is learnt before
# Of each class, where one split serves for annotating and for testing.
TESTED_SHARE = 1 / 3
# Images of the pool whose suggestions are known: the backend, too, predicts only the next 50 tasks
# anew when it has learnt something.
PREDICTED = 40


@dataclass(frozen=True, eq=False)
class Situation:
    """What is known when the next images are chosen.

    Attributes:
        annotated: images that are learnt.
        pool: the others, in random order.
        model: what the annotated ones teach.
        described: name of an image → its descriptor.
    """

    annotated: Sequence[Case]
    pool: Sequence[Case]
    model: NamingModel
    described: Mapping[str, NDArray[np.float32]]

    def _descriptors(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        return np.stack([self.described[case.example.name] for case in cases])

    @property
    def known(self) -> NDArray[np.float32]:
        """(M, K) descriptors of the annotated images."""
        return self._descriptors(self.annotated)

    @property
    def left(self) -> NDArray[np.float32]:
        """(N, K) descriptors of the pool."""
        return self._descriptors(self.pool)

    @cached_property
    def corrections(self) -> NDArray[np.float64]:
        """(P,) expected corrections in each of the pool's first `PREDICTED` images."""
        features = [case.example.features for case in self.pool[:PREDICTED]]
        return np.array([expected_corrections(self.model.predict(each)) for each in features])


# The situation and a number of images → as many indices into its pool.
Rule = Callable[[Situation, int], Sequence[int]]


def at_random(_: Situation, most: int) -> Sequence[int]:
    """Take the images as they come: the pool is in random order."""
    return range(most)


def most_corrections(situation: Situation, most: int) -> Sequence[int]:
    """Take the images with the most expected corrections."""
    order = np.argsort(-situation.corrections, kind="stable")
    return [int(index) for index in order[:most]]


def farthest(situation: Situation, most: int) -> Sequence[int]:
    """Take each image as far from all others as possible."""
    return farthest_first(situation.known, situation.left, most)


def coverage(situation: Situation, most: int) -> Sequence[int]:
    """Take the images that stand for most others."""
    return covering_first(situation.known, situation.left, most)


def coverage_of_corrections(situation: Situation, most: int) -> Sequence[int]:
    """Take the images that stand for those with the most expected corrections."""
    weights = situation.corrections
    return covering_first(situation.known, situation.left[: len(weights)], most, weights)


RANDOM = "random"
RULES: Mapping[str, Rule] = {
    RANDOM: at_random,
    "farthest first": farthest,
    "coverage": coverage,
    "most corrections": most_corrections,
    "coverage of corrections": coverage_of_corrections,
}
# Rules that look for suggestions in the pool.
COSTLY = ("most corrections", "coverage of corrections")


@dataclass(frozen=True, slots=True)
class Progress:
    """What is found on the test images of one group after so many annotated images.

    Attributes:
        within: radius → number of visible landmarks with a suggestion of their name that near.
        visible: number of visible landmarks.
        seconds: that annotating took so far, under the standard costs.
    """

    rule: str
    draw: int
    group: str
    annotated: int
    within: Mapping[float, int]
    visible: int
    seconds: float


def measure_orders(
    train: Sequence[Case],
    test: Sequence[Case] | None,
    setting: str,
    counts: Sequence[int],
    draws: Mapping[str, int],
    *,
    names_sides: bool,
) -> Iterator[Progress]:
    """Annotate in the order of each rule, and measure after each of the counts.

    The first three images of a draw are the same for all rules.

    Args:
        test: None to keep a third of each class of `train` from the pool, another one each draw.
        setting: `PER_CLASS`: each class by itself; `POOLED`: all classes in one.
        counts: ascending, above three.
        draws: name of a rule → number of draws.
        names_sides: see `descriptor`.
    """
    described = {
        case.example.name: descriptor(case.example.features, names_sides=names_sides)
        for case in train
    }
    classes = sorted({case.example.group for case in train})
    groups = [[name] for name in classes] if setting == PER_CLASS else [classes]
    runs = [
        (draw, number, rule)
        for draw in range(max(draws.values()))
        for number in range(len(groups))
        for rule in draws
        if draw < draws[rule]
    ]
    for draw, number, rule in tqdm(runs, desc=setting):
        pool, asked = _drawn(train, test, groups[number], draw)
        group = ", ".join(groups[number])
        for each in _annotate(pool, asked, RULES[rule], counts, described):
            yield Progress(rule, draw, group, *each)


def _drawn(
    train: Sequence[Case], test: Sequence[Case] | None, group: Sequence[str], draw: int
) -> tuple[list[Case], list[Case]]:
    """Return a draw's pool, in random order, and its test images."""
    random = np.random.default_rng([draw, len(group)])
    pool: list[Case] = []
    asked = [case for case in test or () if case.example.group in group]
    for name in group:
        members = [case for case in train if case.example.group == name]
        order = random.permutation(len(members))
        kept = round(TESTED_SHARE * len(members)) if test is None else 0
        asked += [members[index] for index in order[:kept]]
        pool += [members[index] for index in order[kept:]]
    return [pool[index] for index in random.permutation(len(pool))], asked


def _annotate(
    pool: Sequence[Case],
    asked: Sequence[Case],
    rule: Rule,
    counts: Sequence[int],
    described: Mapping[str, NDArray[np.float32]],
) -> Iterator[tuple[int, Mapping[float, int], int, float]]:
    """Yield images annotated, landmarks found, visible landmarks and seconds at each count."""
    annotated, left = list(pool[:FIRST]), list(pool[FIRST:])
    seconds = sum(from_scratch(_shown(case, None), STANDARD).seconds for case in annotated)
    model = learn(annotated)
    for count in counts:
        if count > len(pool):
            return
        situation = Situation(annotated, left, model, described)
        chosen = rule(situation, count - len(annotated))
        new = [left[index] for index in chosen]
        seconds += sum(
            with_names(_shown(case, model), STANDARD, everything=False).seconds for case in new
        )
        annotated = [*annotated, *new]
        left = [case for index, case in enumerate(left) if index not in set(chosen)]
        model = learn(annotated)
        yield count, *_found(model, asked), seconds


def _shown(case: Case, model: NamingModel | None) -> Suggested:
    points = model.predict(case.example.features) if model else []
    return Suggested(0, 0, case, points, ())


def _found(model: NamingModel, asked: Sequence[Case]) -> tuple[Mapping[float, int], int]:
    away = [distances(case, model.predict(case.example.features)) for case in asked]
    within = {radius: sum(int((each <= radius).sum()) for each in away) for radius in RADII}
    return within, sum(len(case.example.points) for case in asked)
