"""Which examples of a project to keep where there are too many: those whose layouts differ most."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.learning.records import Example
from model.naming.object_box import object_box

# Distance, in lengths of the box, that a label counts which only one of two layouts has.
ONE_SIDED = 0.25


def most_diverse(
    examples: Sequence[Example], count: int, *, beside: Sequence[Example] = ()
) -> list[Example]:
    """Return the examples that cover all of them best, in their order; all if they are so few.

    The newest example, then again and again the one whose layout differs most from every chosen
    one (Gonzalez 1985, at most twice the best possible distance).

    Args:
        beside: examples that are chosen already, and not among those to choose from.
    """
    if len(examples) <= count:
        return list(examples)
    all_layouts = _layouts([*examples, *beside])
    layouts = all_layouts[: len(examples)]
    chosen = [len(examples) - 1]
    nearest = _distances(layouts, layouts[-1])
    for other in all_layouts[len(examples) :]:
        nearest = np.minimum(nearest, _distances(layouts, other))
    while len(chosen) < count:
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _distances(layouts, layouts[chosen[-1]]))
    return [examples[place] for place in sorted(chosen)]


def _layouts(examples: Sequence[Example]) -> NDArray[np.float64]:
    """Return where each example has each label, (examples, labels, 2), in lengths of its box.

    The box around its points stands for one that was not given. NaN where an example has no such
    point.
    """
    labels = sorted({label for each in examples for label in each.points})
    layouts = np.full((len(examples), len(labels), 2), np.nan)
    for place, each in enumerate(examples):
        box = each.box or object_box(list(each.points.values()))
        left, top = (box.left, box.top) if box else (0.0, 0.0)
        length = max(box.width, box.height) if box else max(each.width, each.height)
        for label, (x, y) in each.points.items():
            layouts[place, labels.index(label)] = ((x - left) / length, (y - top) / length)
    return layouts


def _distances(layouts: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean distance of the labels of each layout from one of them."""
    apart = np.linalg.norm(layouts - other, axis=2)
    has, other_has = ~np.isnan(layouts[..., 0]), ~np.isnan(other[..., 0])
    apart[has != other_has] = ONE_SIDED
    either = has | other_has
    apart[~either] = 0.0
    return np.asarray(apart.sum(axis=1) / np.maximum(either.sum(axis=1), 1))
