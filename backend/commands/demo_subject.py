"""The images of the demonstration, and the network that finds keypoints on them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.commands.demo_drawings import LANDMARKS, TrueLandmarks, draw_cars, true_landmarks
from backend.commands.demo_project import label_config, landmark_config, named_images
from backend.local.processes import end, spawn
from backend.settings import Settings


@dataclass(frozen=True)
class Subject:
    """Images and the network for them.

    Attributes:
        title: title of the Label Studio project.
        images: folder of images.
        label_config: labelling configuration of the project, as XML.
        arch, weights: as in `Settings`; None for the defaults there.
        landmarks: name in Label Studio → true landmarks of the image; None if they are unknown.
    """

    title: str
    images: Path
    label_config: str
    arch: str | None
    weights: str | None
    landmarks: Mapping[str, TrueLandmarks] | None


def prepare(settings: Settings, images: Path | None, folder: Path) -> Subject:
    """Choose images and network: drawings, and a network trained on them, unless others are given.

    Drawings and weights are kept in `folder`; drawing and training show their progress.

    Raises:
        RuntimeError: images or weights are missing, drawings are not installed, or the training
            failed.
    """
    arch, weights = settings.model_arch, settings.model_weights
    if images is not None:
        return _photos(images, arch, weights)
    drawn = draw_cars(folder / "cars")
    if arch is None and weights is None:
        weights = str(_trained_on_drawings(folder / "drawings.safetensors"))
    _classes(arch, weights)  # refuses a network that cannot be used before anything is started
    true = true_landmarks(folder / "cars")
    names = named_images(drawn)
    return Subject(
        title="Landmarks of drawn cars",
        images=drawn,
        label_config=landmark_config(LANDMARKS),
        arch=arch,
        weights=weights,
        landmarks={name: true[image] for name, image in names.items()},
    )


def _photos(images: Path, arch: str | None, weights: str | None) -> Subject:
    """Images of the user's own: nobody knows their landmarks, so their labels are the classes."""
    if not images.is_dir():
        raise RuntimeError(f"expected a folder of images at {images}, found none")
    title = f"Keypoints on {images.resolve().name}"[:50]
    config = label_config(_classes(arch, weights))
    return Subject(title, images, config, arch, weights, landmarks=None)


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
