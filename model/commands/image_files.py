"""Image files that a command line names, and where to write what belongs to each."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.learning.labelled_images import IMAGE_SUFFIXES


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image file.

    Attributes:
        path: as given, or below the folder that was given.
        stem: relative path for outputs; no other image of the same command line has it.
    """

    path: Path
    stem: Path


def find_images(named: Sequence[Path], out: Path | None = None) -> list[ImageFile]:
    """List the files among `named`, and the images in the folders among them.

    A stem is the path below the deepest folder that all images have in common, without the suffix.
    Where images there differ in their suffixes alone, each keeps it.

    Args:
        named: at least one; files, also missing ones, and folders, whose subfolders are searched
            too. Hidden files and folders are ignored there.
        out: folder for outputs, which is not searched.

    Raises:
        ValueError: a folder has no image, or is the one for outputs.
    """
    paths: list[Path] = []
    for each in named:
        if not each.is_dir():
            paths.append(each)
            continue
        if out is not None and out.resolve() == each.resolve():
            raise ValueError(
                f"expected another folder for the pictures than {each}, whose images are detected: "
                f"give one such as --out {each / 'pictures'}"
            )
        found = sorted(_images_below(each, out))
        if not found:
            raise ValueError(
                f"expected images ({', '.join(sorted(IMAGE_SUFFIXES))}) in {each}, found none"
            )
        paths += found
    absolute = [Path(os.path.normpath(path.absolute())) for path in paths]
    common = os.path.commonpath([path.parent for path in absolute])
    # Some file systems take "A" and "a" for one name.
    times = Counter(_folded(path.with_suffix("")) for path in set(absolute))
    return [
        ImageFile(path, (full if times[_folded(short)] > 1 else short).relative_to(common))
        for path, full in zip(paths, absolute, strict=True)
        for short in [full.with_suffix("")]
    ]


def _images_below(folder: Path, out: Path | None) -> Iterable[Path]:
    hidden = out.resolve() if out is not None else None
    for place, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (Path(place) / name).resolve() != hidden
        ]
        for name in names:
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                yield Path(place) / name


def _folded(place: Path) -> str:
    return str(place).casefold()
