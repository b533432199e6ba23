"""Weights files for the tests: of a small network with random weights."""

from pathlib import Path

import torch

from model.networks import SMALL, Classifier, build_network, save_classifier


def save_small_network(
    path: Path, classes: tuple[str, ...] = ("bus", "van"), *, input_size: int = 32, seed: int = 0
) -> Path:
    """Save a small network with random weights, the same for the same seed; returns the path."""
    torch.manual_seed(seed)
    half = (0.5, 0.5, 0.5)
    network = build_network(SMALL, len(classes))
    save_classifier(Classifier(network, SMALL, classes, input_size, half, half), path)
    return path
