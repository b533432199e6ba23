"""The network that a training starts from."""

from dataclasses import replace

import torch

from model.networks import IMAGENET_MEAN, IMAGENET_STD, Classifier, build_network


def first_classifier(
    arch: str, start: Classifier | None, classes: tuple[str, ...], size: int, seed: int
) -> Classifier:
    """Build the classifier before the first training step.

    Args:
        start: pretrained classifier to copy; its last layer gets random weights unless it has the
            same classes. None for random weights only.
        classes: names of the outputs.
        size: side of the input, px, for random weights.
        seed: seed of the random weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(arch, len(classes))
    if start is None:
        return Classifier(network, arch, classes, size, IMAGENET_MEAN, IMAGENET_STD)
    known = start.network.state_dict()
    if start.classes != classes:
        for name in last_layer(arch):
            del known[name]
    network.load_state_dict(known, strict=False)
    return replace(start, network=network, classes=classes)


def last_layer(arch: str) -> set[str]:
    """Return the names of the parameters whose shape depends on the number of classes."""
    with torch.device("meta"):
        two, three = (build_network(arch, classes).state_dict() for classes in (2, 3))
    return {name for name in two if two[name].shape != three[name].shape}
