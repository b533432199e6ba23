"""What scores are expected to look like, learnt from images for choices."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from model.naming.confidence import Logistic, fit_logistic, neutral
from model.naming.evidence import FIGURES
from model.naming.examples import Example, views
from model.naming.knowledge import taught
from model.naming.learner import TOLERANCE, fit
from model.naming.leave_one_out import Outcomes, outcome

LENGTH = 12  # examples at most: what more of them say of themselves outweighs any expectation


def sequences(examples: Sequence[Example], repeats: int) -> Iterator[list[Example]]:
    """Yield random sequences: so many of each class, and as many again of all classes together."""
    groups = sorted({example.group for example in examples})
    for number, group in enumerate(groups):
        own = [example for example in examples if example.group == group]
        for repeat in range(repeats):
            for pool in (own, examples):
                random = np.random.default_rng([repeat, number, len(pool)])
                yield [pool[index] for index in random.permutation(len(pool))[: LENGTH + 1]]


def found_in(sequence: Sequence[Example]) -> list[Outcomes]:
    """Find each example by what those before it teach."""
    found = []
    for position in range(1, len(sequence)):
        known = fit(sequence[:position], rehearsed=0).known
        example = sequence[position]
        own = taught(next(views(example)), known.labels)
        found.append(outcome(known, example, own, TOLERANCE))
    return found


def expectation(found: Sequence[Outcomes]) -> dict[str, Logistic]:
    """Return the models of `leave_one_out.score_models`, by the names of the constants."""
    figures = np.concatenate([each.figures for each in found])
    visible = np.concatenate([each.visible for each in found])
    within = np.concatenate([each.within for each in found])
    scale = neutral(figures)
    return {
        "VISIBLE": fit_logistic(figures, visible, scale),
        "WITHIN": fit_logistic(figures[visible], within[visible], scale),
    }


def as_code(models: dict[str, Logistic]) -> str:
    """Return the constants of `model/naming/expectation.py`."""
    lines = [f"# {', '.join(FIGURES)}"]
    some = next(iter(models.values()))
    for name, values in (("MEAN", some.mean), ("DEVIATION", some.deviation)):
        lines.append(f"{name} = np.array({_rounded(values)})")
    for name, model in models.items():
        lines.append(
            f"{name} = Logistic(\n    MEAN,\n    DEVIATION,\n"
            f"    np.array({_rounded(model.coefficients)}),\n    {model.constant:.3f},\n)"
        )
    return "\n".join(lines)


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 3) for value in values]
