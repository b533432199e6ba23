"""The images of the demonstration, and the network that finds keypoints on them."""

import sys
from dataclasses import dataclass
from pathlib import Path

from backend.local.processes import end, spawn
from backend.settings import Settings

# The network is trained on drawings of another seed.
_DRAWINGS = 24
_DRAWINGS_SEED = 20_000
_DRAWINGS_SIZE = (640, 480)


@dataclass(frozen=True)
class Subject:
    """Images and the network for them.

    Attributes:
        title: title of the Label Studio project.
        images: folder of images.
        arch, weights: as in `Settings`; None for the defaults there.
        classes: names of the network's classes.
    """

    title: str
    images: Path
    arch: str | None
    weights: str | None
    classes: tuple[str, ...]


def prepare(settings: Settings, images: Path | None, folder: Path) -> Subject:
    """Choose images and network: drawings, and a network trained on them, unless others are given.

    Drawings and weights are kept in `folder`; drawing and training show their progress.

    Raises:
        RuntimeError: images or weights are missing, drawings are not installed, or the training
            failed.
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
    """Return the folder of the drawn images; draw them if they are not there yet."""
    if not (folder / "complete").exists():
        try:
            from drawings.dataset import write_data_set  # not part of the Docker image
        except ModuleNotFoundError as error:
            if error.name not in ("drawings", "drawings.dataset"):
                raise
            raise RuntimeError(
                "expected the package drawings, which draws the images of the demonstration, found "
                "none: the Docker image does not contain it; run the demonstration from a clone of "
                "the repository, or give a folder of images with --images"
            ) from error
        write_data_set(
            folder, _DRAWINGS, seed=_DRAWINGS_SEED, size=_DRAWINGS_SIZE, test_share=1, progress=True
        )
        (folder / "complete").touch()
    return folder / "images"


def _trained_on_drawings(weights: Path) -> Path:
    """Return the weights file; train it if it is not there yet."""
    if not weights.exists():
        print("Training a small network on drawings, once, from class labels alone:", flush=True)
        command = ["drawings", "train", "--out", str(weights), "--seed", "0"]
        training = spawn([sys.executable, "-m", *command])
        try:
            status = training.wait()
        finally:
            end(training, grace=2)
        if status != 0:
            raise RuntimeError(
                f"expected the training to succeed, but it ended with status {status}; "
                "start the demonstration again to resume it"
            )
    return weights


def _classes(arch: str | None, weights: str | None) -> tuple[str, ...]:
    from model.networks import Refused, WeightsError, load_classifier  # loads torch

    try:
        return load_classifier(arch, weights).classes
    except (OSError, Refused, WeightsError) as error:
        raise RuntimeError(str(error)) from error
