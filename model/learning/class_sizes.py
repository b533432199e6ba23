"""Which classes have enough images to be learnt, and what makes a result doubtful."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.learning.labelled_images import LeftOut

MIN_IMAGES = 2  # per class: one for training, one for validation
FEW_IMAGES = 10  # per class: fewer are likely to give a poor result
UNEQUAL = 20  # times as many images in the largest class as in the smallest: worth a warning
MOST_LISTED = 10


class UnusableLabels(ValueError):
    """The labels do not suffice for training; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class ClassSizes:
    """Usable images of each class.

    Attributes:
        counts: class → number of usable images; 0 if all of its images are unusable.
        learnt: classes with enough images, sorted.
        scarce: the other classes, sorted.
    """

    counts: Mapping[str, int]
    learnt: tuple[str, ...]
    scarce: tuple[str, ...]

    def check(self, left_out: Sequence[LeftOut]) -> None:
        """Raise UnusableLabels if fewer than two classes can be learnt.

        Args:
            left_out: unusable images and the reasons; the message lists the first ones.
        """
        if len(self.learnt) > 1:
            return
        unused = "".join(f"\n  left out {name}: {reason}" for name, reason in left_out[:10])
        if not any(self.counts.values()):
            raise UnusableLabels(
                f"expected images with class labels, found none that is usable{unused}"
            )
        if len(self.counts) == 1:
            raise UnusableLabels(
                f"expected at least two classes, found {next(iter(self.counts))!r} alone: "
                "keypoints rest on what distinguishes classes; add images of something else"
                f"{unused}"
            )
        got = listed(f"{self.counts[name]} of {name!r}" for name in sorted(self.counts))
        raise UnusableLabels(
            f"expected at least two classes with {MIN_IMAGES} usable images each, one for training "
            f"and one for validation; got {got}: add images{unused}"
        )

    def reason(self, name: str) -> str:
        """Return why the images of a scarce class are not used."""
        found = self.counts[name]
        return (
            f"{name!r} has only {found} usable image{'' if found == 1 else 's'}, and a class needs "
            f"at least {MIN_IMAGES}"
        )

    def warnings(self) -> tuple[str, ...]:
        """Return the reasons to doubt the result of a training on these images."""
        found = []
        if self.scarce:
            found.append(
                f"not learnt, so that the network will never name "
                f"{'it' if len(self.scarce) == 1 else 'them'}: {listed(map(repr, self.scarce))}; "
                f"a class needs at least {MIN_IMAGES} usable images"
            )
        few = [name for name in self.learnt if self.counts[name] < FEW_IMAGES]
        if few:
            found.append(
                f"fewer than {FEW_IMAGES} images of {listed(map(repr, few))}: expect a poor result "
                "until there are more"
            )
        largest = max(self.learnt, key=self.counts.__getitem__)
        smallest = min(self.learnt, key=self.counts.__getitem__)
        if self.counts[largest] >= UNEQUAL * self.counts[smallest]:
            share = self.counts[largest] / sum(self.counts[name] for name in self.learnt)
            found.append(
                f"{self.counts[largest]} images of {largest!r}, but {self.counts[smallest]} of "
                f"{smallest!r}: a network that always names {largest!r} has {share:.1%} right, so "
                "look at the share that is right in the mean over classes"
            )
        same = lookalikes(self.counts)
        if same:
            found.append(f"probably the same class: {listed(same, separator='; ')}")
        return tuple(found)


def class_sizes(labels: Iterable[str], offered: Collection[str]) -> ClassSizes:
    """Count the images of each class.

    Args:
        labels: class of each usable image.
        offered: all classes, also those without a usable image.
    """
    counts = Counter(dict.fromkeys(sorted(offered), 0))
    counts.update(labels)
    learnt = sorted(name for name, count in counts.items() if count >= MIN_IMAGES)
    scarce = sorted(name for name, count in counts.items() if count < MIN_IMAGES)
    return ClassSizes(counts, tuple(learnt), tuple(scarce))


def lookalikes(names: Iterable[str]) -> list[str]:
    """Return the names that differ only in case, blanks, hyphens or underscores, a group a text."""
    groups = defaultdict(list)
    for name in sorted(names):
        folded = unicodedata.normalize("NFKC", name).casefold()
        groups[re.sub(r"[\s_-]+", "", folded)].append(name)
    return [listed(map(repr, group)) for group in groups.values() if len(group) > 1]


def repeated(
    images: NDArray[np.intp], labels: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return the images to show in an epoch: those of rare classes several times.

    Each class is multiplied by the repeat factor of Gupta, Dollár and Girshick (LVIS, CVPR 2019,
    section 3.4): the square root of a frequency over its own. That frequency is half the mean of
    the classes here, so classes of similar sizes are left as they are.

    Args:
        images: (N,) indices of the images.
        labels: (N,) number of each image's class.
        rng: chooses the images that are shown once more than others of their class.

    Returns:
        (M,) indices, M ≥ N; `images` itself if no class is rare.
    """
    numbers, counts = np.unique(labels, return_counts=True)
    shown = np.rint(counts * np.sqrt(np.maximum(1.0, counts.mean() / 2 / counts))).astype(int)
    more = [
        rng.permutation(np.resize(images[labels == number], -(-extra // count) * count))[:extra]
        for number, count, extra in zip(numbers, counts, shown - counts, strict=True)
        if extra
    ]
    return np.concatenate([images, *more])


def listed(names: Iterable[str], *, separator: str = ", ") -> str:
    """Join names; of many, only the first, and the number of the others."""
    every = list(names)
    more = f" and {len(every) - MOST_LISTED} more" if len(every) > MOST_LISTED else ""
    return separator.join(every[:MOST_LISTED]) + more
