"""What the demonstration shows: images, and a network that finds keypoints on them."""

import sys
from dataclasses import dataclass
from pathlib import Path

from backend.local.processes import end, spawn
from backend.settings import Settings
from drawings.dataset import write_data_set

# Drawings of another seed than those that the network is trained on.
_DRAWINGS = 24
_DRAWINGS_SEED = 20_000
_DRAWINGS_SIZE = (640, 480)


@dataclass(frozen=True)
class Subject:
    """Images, and the network for them.

    Attributes:
        title: for the project.
        images: folder.
        arch, weights: as in `Settings`; None for what the settings fill in.
        classes: that the network tells apart.
    """

    title: str
    images: Path
    arch: str | None
    weights: str | None
    classes: tuple[str, ...]


def prepare(settings: Settings, images: Path | None, folder: Path) -> Subject:
    """Drawings where no images are given; a network trained on drawings where none is named.

    What takes long is kept in `folder` and shows its progress.

    Raises:
        RuntimeError: images or weights are missing, or the training failed.
    """
    if images is not None and not images.is_dir():
        raise RuntimeError(f"expected a folder of images at {images}, found none")
    arch, weights = settings.model_arch, settings.model_weights
    if images is None:
        title, images = "Keypoints on drawn vehicles", _drawings(folder / "drawings")
        if arch is None and weights is None:
            weights = str(_trained_on_drawings(folder / "drawings.safetensors"))
    else:
        title = f"Keypoints on {images.resolve().name}"[:50]
    return Subject(title, images, arch, weights, _classes(arch, weights))


def _drawings(folder: Path) -> Path:
    if not (folder / "complete").exists():
        write_data_set(
            folder, _DRAWINGS, seed=_DRAWINGS_SEED, size=_DRAWINGS_SIZE, test_share=1, progress=True
        )
        (folder / "complete").touch()
    return folder / "images"


def _trained_on_drawings(weights: Path) -> Path:
    """Weights file; made by the training command, which shows its own progress."""
    if not weights.exists():
        print("Training a small network on drawings, once, from class labels alone:", flush=True)
        command = ["train", "--drawings", "--out", str(weights), "--seed", "0"]
        training = spawn([sys.executable, "-m", "model", *command])
        try:
            status = training.wait()
        finally:
            end(training, grace=2)
        if status != 0:
            raise RuntimeError(
                f"expected the training to succeed, but it ended with status {status}; "
                "the next start goes on where it ended"
            )
    return weights


def _classes(arch: str | None, weights: str | None) -> tuple[str, ...]:
    from model.networks import Refused, WeightsError, load_classifier  # loads torch

    try:
        return load_classifier(arch, weights).classes
    except (OSError, Refused, WeightsError) as error:
        raise RuntimeError(str(error)) from error
