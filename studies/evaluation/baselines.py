"""Baselines for the detector: points without a network, and the usual maps of a network.

The implementations are those of OpenCV, scikit-image and captum.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import cv2
import numpy as np
import torch
from captum.attr import LayerAttribution, LayerGradCam, LayerGradientXActivation, Saliency
from numpy.typing import NDArray
from skimage import filters
from torch import Tensor, nn

from model import image
from model.keypoint import Box
from model.networks import Classifier
from studies.evaluation.rankings import MapRanking, Ranking, grid, strongest, uniform

# Side of the window of the corner detectors, px.
WINDOW = 5


def without_network(picture: NDArray[np.uint8], box: Box, seed: int) -> dict[str, Ranking]:
    """Return rankings by chance, and those of OpenCV and scikit-image, on the box of an image."""
    part = image.crop(picture, box)
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    brightness = grey.astype(np.float32)
    maps = {
        "centre Gaussian": _centre_gaussian(*grey.shape),
        "Harris": cv2.cornerHarris(brightness, WINDOW, 3, 0.04),
        "Shi-Tomasi": cv2.cornerMinEigenVal(brightness, WINDOW),
        "Sobel": filters.sobel(brightness),
    }
    rankings: dict[str, Ranking] = {"uniform": uniform(box, seed), "grid": grid(box)}
    for name, values in maps.items():
        rankings[name] = MapRanking(np.asarray(values, np.float64), box, seed=seed)
    rankings["SIFT"] = _keypoints(cv2.SIFT.create().detect(grey), box, lambda point: point.size)
    orb = cv2.ORB.create(nfeatures=2000, fastThreshold=5)
    rankings["ORB"] = _keypoints(orb.detect(grey), box, lambda point: point.response)
    return rankings


def _centre_gaussian(height: int, width: int) -> NDArray[np.float64]:
    """Return a Gaussian whose standard deviation is a quarter of each side.

    Only cells on a grid are not 0: a smooth hill would have a single peak.
    """
    y, x = np.mgrid[:height, :width]
    across, down = (x - (width - 1) / 2) / (width / 4), (y - (height - 1) / 2) / (height / 4)
    hill = np.exp(-(across**2 + down**2) / 2)
    step = max(2, round(0.035 * max(height, width)))
    return np.asarray(hill * (((x + step // 2) % step == 0) & ((y + step // 2) % step == 0)))


def _keypoints(
    found: Sequence[cv2.KeyPoint], box: Box, strength: Callable[[cv2.KeyPoint], float]
) -> Ranking:
    points = np.array([point.pt for point in found], np.float64).reshape(-1, 2)
    strengths = np.array([strength(point) for point in found])
    corner = np.array([box.left, box.top])
    return strongest(points + corner, strengths)


def last_maps(network: nn.Module, pixels: Tensor) -> nn.Module:
    """Return the last module with feature maps, which Grad-CAM and LayerCAM use.

    Its output has several cells, no negative values, and is not a map of class scores.
    """
    found: list[nn.Module] = []
    with torch.inference_mode():
        classes = network(pixels).shape[1]

    def remember(module: nn.Module, _: object, output: object) -> None:
        if (
            isinstance(output, Tensor)
            and output.ndim == 4
            and min(output.shape[2:]) > 1
            and output.shape[1] != classes
            and output.min() >= 0
        ):
            found.append(module)

    handles = [part.register_forward_hook(remember) for part in network.modules()]
    try:
        with torch.inference_mode():
            network(pixels)
    finally:
        for handle in handles:
            handle.remove()
    return found[-1]


def of_network(classifier: Classifier, picture: NDArray[np.uint8], box: Box) -> dict[str, Ranking]:
    """Return captum's Grad-CAM, LayerCAM and gradient of the predicted class as rankings."""
    size = classifier.input_size
    square, _ = image.to_square(picture, box, size, "squash")
    pixels = image.to_tensor(square, classifier.mean, classifier.std)
    with not_in_place(classifier.network) as network:
        large = _attributions(network, pixels[None], size)
    return {
        name: MapRanking(values[0, 0].detach().double().numpy(), box)
        for name, values in large.items()
    }


def _attributions(network: nn.Module, pixels: Tensor, size: int) -> dict[str, Tensor]:
    """Return name → map (1, 1, size, size) for one image (1, 3, size, size)."""
    with torch.inference_mode():
        predicted = int(network(pixels)[0].argmax())
    layer = last_maps(network, pixels)
    grad_cam = LayerGradCam(network, layer).attribute(
        pixels, target=predicted, relu_attributions=True
    )
    # Gradient × activation is LayerCAM where both are positive.
    product = LayerGradientXActivation(network, layer).attribute(pixels, target=predicted)
    layer_cam = product.clamp(min=0).sum(dim=1, keepdim=True)
    gradient = Saliency(network).attribute(pixels.requires_grad_(), target=predicted)
    return {
        "Grad-CAM": LayerAttribution.interpolate(grad_cam, (size, size), "bilinear"),
        "LayerCAM": LayerAttribution.interpolate(layer_cam, (size, size), "bilinear"),
        "gradient": gradient.amax(dim=1, keepdim=True),
    }


@contextmanager
def not_in_place(network: nn.Module) -> Iterator[nn.Module]:
    """Inside the block, ReLUs do not overwrite their input, as captum's hooks require."""
    with ExitStack() as undo:
        for part in network.modules():
            if isinstance(part, nn.ReLU):
                undo.callback(setattr, part, "inplace", part.inplace)
                part.inplace = False
        yield network
