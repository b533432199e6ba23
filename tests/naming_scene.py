"""Examples with planted features: each label has a direction of its own, strongest at its point."""

from collections.abc import Mapping, Sequence

import numpy as np

from model.keypoint import Box
from model.naming.examples import Example
from model.naming.features import ExampleFeatures
from model.naming.frame import frame_of
from model.naming.grid import Floats, bumps
from model.naming.symmetry import mirrored_name

GRID, DIMENSIONS = 20, 12
LABELS = ("beak", "left eye", "right eye", "tail")
BOX = Box(10, 10, 80, 80)
# A bird that looks to the left; px on an image of 100 × 100.
BIRD = {"beak": (20.0, 40.0), "left eye": (32.0, 30.0), "tail": (80.0, 62.0)}
DIRECTIONS = np.random.RandomState(7).standard_normal((len(LABELS), DIMENSIONS))


def planted(
    points: Mapping[str, tuple[float, float]],
    *,
    seed: int = 0,
    noise: float = 0.3,
    directions: Floats = DIRECTIONS,
) -> ExampleFeatures:
    """Return features of an image of 100 × 100 px with a box of 80 × 80 px in its middle.

    Args:
        directions: (len(LABELS), DIMENSIONS), that of each label.
    """
    frame = frame_of(BOX, 100, 100)
    random = np.random.RandomState(seed)
    maps = []
    for mirrored in (False, True):
        values = noise * random.standard_normal((GRID, GRID, DIMENSIONS))
        for label, point in points.items():
            x, y = frame.to_unit(np.array(point))
            name = mirrored_name(label) if mirrored else label
            place = np.array([[1 - x if mirrored else x, y]])
            bump = bumps(place, GRID, 0.08)[0]
            values += 3 * bump[..., None] * directions[LABELS.index(name)]
        maps.append(values.astype(np.float16))
    return ExampleFeatures("planted", frame, *maps)


def example(seed: int, *, mirrored: bool = False, group: str = "") -> Example:
    """Return a bird, moved a little; in the mirror it looks to the right."""
    shift = np.random.RandomState(1000 + seed).uniform(-6, 6, 2)
    points = {label: (float(x + shift[0]), float(y + shift[1])) for label, (x, y) in BIRD.items()}
    if mirrored:
        points = {mirrored_name(label): (99 - x, y) for label, (x, y) in points.items()}
    absent = frozenset(LABELS) - points.keys()
    features = planted(points, seed=seed)
    return Example(features, points, absent, BOX, group=group, name=str(seed))


def examples(count: int, *, first: int = 0) -> Sequence[Example]:
    """Return birds, every other one mirrored."""
    return [example(first + number, mirrored=number % 2 == 1) for number in range(count)]


def unlike_any_other(seed: int) -> Example:
    """Return an object in a view of its own: other features and another layout in each."""
    random = np.random.RandomState(2000 + seed)
    points = {label: tuple(random.uniform(15, 85, 2).tolist()) for label in LABELS}
    directions = random.standard_normal(DIRECTIONS.shape)
    features = planted(points, seed=seed, directions=directions)
    return Example(features, points, frozenset(), BOX, name=f"view {seed}")
