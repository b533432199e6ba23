"""Annotating interactively: one landmark is placed, the others follow and are corrected."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.naming.learner import NamedPoint, NamingModel
from model.naming.worth import STANDARD, worth_showing
from studies.naming.accuracy import PER_CLASS, Share, distances, draws, learn
from studies.naming.cases import Case
from studies.naming.sequence import SCRATCH, TOLERANCE, Suggested, from_scratch, with_names

OPENED, ONCE, AGAIN = "suggested on opening", "one placed", "one placed, again after each"


@dataclass(frozen=True, slots=True)
class Session:
    """The actions that one image takes, in each way of working.

    Attributes:
        actions: way of working → points placed, moved or deleted, and labels decided absent.
        followed: share of the other visible landmarks that are right once one is placed.
    """

    setting: str
    corrected: int
    draw: int
    image: str
    actions: dict[str, int]
    followed: float


def measure_interactive(
    train: Sequence[Case],
    test: Sequence[Case],
    setting: str,
    corrected: int,
    repeats: int,
    most: int,
) -> Iterator[Session]:
    """Annotate test images after each draw of corrected images.

    Args:
        most: test images a draw, drawn at random; as many of each class where each is by itself.
    """
    classes = len({case.example.group for case in train}) if setting == PER_CLASS else 1
    for draw, chosen, asked in draws(train, test, setting, corrected, repeats):
        model = learn(chosen)
        order = np.random.default_rng([draw, corrected]).permutation(len(asked))
        order = order[: math.ceil(most / classes)]
        for case in (asked[index] for index in order):
            if case.example.points:
                yield _session(model, case, setting, corrected, draw)


def _session(model: NamingModel, case: Case, setting: str, corrected: int, draw: int) -> Session:
    opened = Suggested(0, corrected, case, model.predict(case.example.features), ())
    first = first_landmark(case)
    given = {first: case.example.points[first]}
    others = model.predict(case.example.features, given)
    away = distances(case, worth_showing(others))
    rest = len(case.example.points) - 1
    actions = {
        SCRATCH: from_scratch(opened, STANDARD).actions,
        OPENED: with_names(opened, STANDARD, everything=False).actions,
        ONCE: actions_once(case, first, others),
        AGAIN: actions_again(case, first, model),
    }
    right = int((away <= TOLERANCE).sum())
    return Session(
        setting, corrected, draw, case.example.name, actions, right / rest if rest else 1.0
    )


def first_landmark(case: Case) -> str:
    """Return the first visible landmark in the order of the labelling configuration."""
    return sorted(case.example.points)[0]


def actions_once(case: Case, first: str, others: Sequence[NamedPoint]) -> int:
    """Return the actions if the suggestions that follow the first point are corrected by hand.

    A misplaced one is moved, one of a hidden landmark is deleted, and what was not suggested is
    placed, or decided absent.
    """
    shown = worth_showing(others)
    right = int((distances(case, shown) <= TOLERANCE).sum())
    labels = {point.label for point in shown} | {first}
    missing = len(case.example.points.keys() - labels)
    absent = len(case.example.absent - labels)
    return 1 + len(shown) - right + missing + absent


def actions_again(case: Case, first: str, model: NamingModel) -> int:
    """Return the actions if everything is suggested again after each corrected point.

    Suggestions within the tolerance are accepted and stay where they are. Then one correction is
    made, in the order of the labelling configuration: a landmark that is misplaced or was not
    suggested is placed, and a suggestion of a hidden one is deleted.
    """
    example = case.example
    given = {first: example.points[first]}
    deleted: set[str] = set()
    actions = 1
    while True:
        suggested = worth_showing(model.predict(example.features, given))
        shown = [point for point in suggested if point.label not in deleted]
        near = distances(case, shown) <= TOLERANCE
        given |= {
            point.label: (point.x, point.y) for point, ok in zip(shown, near, strict=True) if ok
        }
        hidden = {point.label for point in shown} - example.points.keys()
        wrong = sorted((example.points.keys() | hidden) - given.keys())
        if not wrong:
            return actions + len(example.absent - deleted)
        actions += 1
        if wrong[0] in example.points:
            given[wrong[0]] = example.points[wrong[0]]
        else:
            deleted.add(wrong[0])


def share_of(sessions: Sequence[Session], way: str) -> Share:
    """Return the actions in % of those of placing everything, over draws."""
    by_draw = [
        100 * sum(each.actions[way] for each in part) / sum(each.actions[SCRATCH] for each in part)
        for part in _by_draw(sessions)
    ]
    return _mean(by_draw)


def actions_of(sessions: Sequence[Session], way: str) -> Share:
    """Return the mean actions an image, over draws."""
    return _mean(
        [float(np.mean([each.actions[way] for each in part])) for part in _by_draw(sessions)]
    )


def followed(sessions: Sequence[Session]) -> Share:
    """Return the share of the other landmarks, in %, that are right once one is placed."""
    return _mean(
        [float(np.mean([100 * each.followed for each in part])) for part in _by_draw(sessions)]
    )


def _by_draw(sessions: Sequence[Session]) -> list[list[Session]]:
    numbers = sorted({each.draw for each in sessions})
    return [[each for each in sessions if each.draw == number] for number in numbers]


def _mean(by_draw: Sequence[float]) -> Share:
    error = np.std(by_draw, ddof=1) / np.sqrt(len(by_draw)) if len(by_draw) > 1 else np.nan
    return Share(float(np.mean(by_draw)), float(error))
