"""What is learnt image by image, in boxes and in whole images."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from model.naming.examples import Example
from model.naming.learner import NamedPoint, NamingModel, fit
from model.naming.object_box import object_box
from model.naming.whole_image import WholeImageModel, coarsened, found_box
from studies.naming.accuracy import learn
from studies.naming.cases import Case


def is_step(learnt: int) -> bool:
    """Return whether a model is fitted after so many images: 1 to 12, then every 5, from 50 10."""
    return 1 <= learnt <= 12 or (learnt > 12 and learnt % (5 if learnt < 50 else 10) == 0)


class Learner(Protocol):
    """Learns corrected cases, and suggests points by what it has learnt."""

    def add(self, case: Case) -> None:
        """Take a corrected case into the next fit."""

    def fit(self, rehearsed: int | None = None) -> None:
        """Learn all cases so far; `rehearsed` is that of `model.naming.learner.fit`."""

    def suggest(self, case: Case) -> Sequence[NamedPoint]:
        """Suggest points by the last fit; none before the first."""


class BoxedLearner:
    """Learns cases in their boxes."""

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._model: NamingModel | None = None

    def add(self, case: Case) -> None:
        self._cases.append(case)

    def fit(self, rehearsed: int | None = None) -> None:
        self._model = learn(self._cases, rehearsed=rehearsed)

    def suggest(self, case: Case) -> Sequence[NamedPoint]:
        return self._model.predict(case.example.features) if self._model else []


class WholeImageLearner:
    """Learns whole images: each close up where the object was found before it was learnt."""

    def __init__(self) -> None:
        self._whole: list[Example] = []
        self._close: list[Example] = []
        self._model: WholeImageModel | None = None

    def add(self, case: Case) -> None:
        example = replace(case.example, features=coarsened(case.example.features))
        found = found_box(self._model.region, example.features) if self._model else None
        box = found or object_box(list(example.points.values()))
        if box is None:
            raise ValueError(f"expected two or more landmarks in {example.name}")
        self._whole.append(example)
        self._close.append(replace(example, features=case.look(box)))

    def fit(self, rehearsed: int | None = None) -> None:
        region = fit(self._whole, rehearsed=0)
        self._model = WholeImageModel(region, fit(self._close, rehearsed=rehearsed))

    def suggest(self, case: Case) -> Sequence[NamedPoint]:
        if not self._model:
            return []
        return self._model.predict(coarsened(case.example.features), case.look)


def learner_for(case: Case) -> Learner:
    """Return a learner for cases of this kind."""
    return BoxedLearner() if case.example.box else WholeImageLearner()


def named(cases: Sequence[Case]) -> Callable[[Case], Sequence[NamedPoint]]:
    """The method itself, as an `accuracy.Method`: learn some cases, in this order."""
    learner = learner_for(cases[0])
    for position, case in enumerate(cases):
        if not case.example.box and is_step(position):
            learner.fit(rehearsed=0)
        learner.add(case)
    learner.fit(rehearsed=0)  # places need no scores
    return learner.suggest
