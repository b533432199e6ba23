"""Our own small network, for training from random weights."""

from collections import OrderedDict

from torch import nn


def small_network(classes: int) -> nn.Module:
    """Build the network with random weights: five 3 × 3 convolutions with ReLU.

    The maximum over all positions, in place of the usual mean, ties each feature to the one part
    that it fits best; on drawings it learns several times faster.

    Args:
        classes: number of outputs.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for depth, width in enumerate((8, 16, 32, 96, 160), start=1):
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers[f"conv{depth}"] = convolution
        if depth < 5:  # before ReLU, with which it commutes: a quarter of the work
            layers[f"pool{depth}"] = nn.MaxPool2d(2)
        layers[f"norm{depth}"] = nn.BatchNorm2d(width)
        layers[f"relu{depth}"] = nn.ReLU(inplace=True)
        channels = width
    layers["maximum"] = nn.AdaptiveMaxPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(channels, classes)
    return nn.Sequential(layers)
