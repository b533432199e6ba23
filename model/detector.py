"""The detector: all stages, in order, and nothing else."""

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model import (
    activation_region,
    class_activation,
    corners,
    foerstner,
    fusion,
    guided_backprop,
    image,
    nms,
    occlusion,
)
from model.keypoint import Box, Detection, Keypoint
from model.networks import Classifier
from model.settings import DetectorSettings

# Sides of a box below which nothing can be told about it, px.
SMALLEST_SIDE = 8


class Detector:
    """Finds keypoints with a classifier that knows class labels alone.

    Made once and used for many images: fills are drawn and weights are prepared here.
    """

    def __init__(self, classifier: Classifier, settings: DetectorSettings | None = None) -> None:
        """
        Raises:
            ValueError: the occluder is larger than the network's input.
        """
        self.classifier = classifier
        self.settings = settings or DetectorSettings()
        self.input_size = self.settings.input_size or classifier.input_size
        occlusion.patch_positions(self.input_size, self.settings.window, self.settings.stride)
        fills = occlusion.random_fills(
            self.settings.fills, self.input_size, self.input_size, self.settings.seed
        )
        self._fills = image.normalise(fills, classifier.mean, classifier.std)

    def detect(self, picture: NDArray[np.uint8], box: Box | None = None) -> Detection:
        """Find keypoints on an image, or on a box of it.

        Args:
            picture: (H, W, 3) uint8, RGB, upright.
            box: where to look; None for the whole image.

        Raises:
            ValueError: the picture has another shape, or the box is empty, tiny or off the image.
        """
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise ValueError(
                f"expected an RGB image (H, W, 3) of uint8, got {picture.shape} {picture.dtype}"
            )
        height, width = picture.shape[:2]
        boxed = box is not None
        box = image.clip_box(box, width, height)
        if min(box.width, box.height) < SMALLEST_SIDE:
            raise ValueError(
                f"expected an image or a box of at least {SMALLEST_SIDE} px a side, "
                f"got {box.width:g} × {box.height:g}: draw a larger one"
            )
        if not boxed and self.settings.region == "activation":
            box = self._region(picture, box)
        square, view, pixels = self._look(picture, box)

        predicted, probability = self._classify(pixels)
        if self.settings.coarse == "occlusion":
            coarse = self._coarse(pixels, predicted)
        else:
            coarse = self._activation(pixels, predicted)
        if self.settings.fine == "guided":
            fine = self._fine(pixels, predicted)
        else:
            fine = corners.corner_map(_grey(square), self.settings.corner_scale)
        combine = fusion.fuse if self.settings.combination == "sum" else fusion.multiply
        fused = combine(
            coarse,
            fine,
            coarse_weight=self.settings.coarse_weight,
            fine_weight=self.settings.fine_weight,
        )

        filled = (slice(view.height), slice(view.width))
        name = self.classifier.classes[predicted]
        return Detection(
            class_name=name,
            probability=probability,
            keypoints=self._keypoints(fused[filled], square[filled], view, name),
            width=width,
            height=height,
            box=box,
            maps={"coarse": coarse[filled], "fine": fine[filled], "fused": fused[filled]},
        )

    def _look(
        self, picture: NDArray[np.uint8], box: Box
    ) -> tuple[NDArray[np.uint8], image.View, Tensor]:
        """The network's square of a box, how it came about, and the same as a tensor."""
        square, view = image.to_square(picture, box, self.input_size, self.settings.resize)
        return square, view, image.to_tensor(square, self.classifier.mean, self.classifier.std)

    def _region(self, picture: NDArray[np.uint8], box: Box) -> Box:
        """Where the class evidence lies; `box` itself where that would be too small to look at."""
        _, view, pixels = self._look(picture, box)
        predicted, _ = self._classify(pixels)
        evidence = self._activation(pixels, predicted)[: view.height, : view.width]
        region = activation_region.activation_region(
            evidence,
            box,
            threshold=self.settings.region_threshold,
            margin=self.settings.region_margin,
        )
        return region if min(region.width, region.height) >= SMALLEST_SIDE else box

    @torch.inference_mode()
    def _classify(self, pixels: Tensor) -> tuple[int, float]:
        logits = self.classifier.network(pixels[None])[0].double()
        predicted = int(logits.argmax())
        return predicted, float(logits.softmax(dim=0)[predicted])

    def _coarse(self, pixels: Tensor, predicted: int) -> NDArray[np.float64]:
        score = occlusion.predicted_class_score(
            self.classifier.network, predicted, self.settings.coarse_score
        )
        heat = occlusion.occlusion_map(
            score,
            pixels,
            self._fills,
            window=self.settings.window,
            stride=self.settings.stride,
        )
        return np.asarray(heat.numpy())

    def _activation(self, pixels: Tensor, predicted: int) -> NDArray[np.float64]:
        evidence = class_activation.flip_averaged(
            self.classifier.network, pixels, predicted, stride=self.settings.activation_stride
        )
        size = (self.input_size, self.input_size)
        return np.asarray(cv2.resize(evidence.numpy(), size, interpolation=cv2.INTER_LINEAR))

    def _fine(self, pixels: Tensor, predicted: int) -> NDArray[np.float64]:
        gradient = guided_backprop.guided_backprop(self.classifier.network, pixels, predicted)
        heat = guided_backprop.colours_to_map(gradient, self.settings.fine_colours)
        return np.asarray(heat.numpy())

    def _keypoints(
        self,
        fused: NDArray[np.float64],
        square: NDArray[np.uint8],
        view: image.View,
        label: str,
    ) -> tuple[Keypoint, ...]:
        peaks = nms.ranked_peaks(
            fused,
            radius=self.settings.nms_radius * max(view.box.width, view.box.height),
            pixel_width=1 / view.scale_x,
            pixel_height=1 / view.scale_y,
            seed=self.settings.seed,
        )
        peaks = peaks[: math.ceil(self.settings.keep * len(peaks))][: self.settings.max_keypoints]
        peaks = peaks[fused[peaks[:, 0], peaks[:, 1]] >= self.settings.min_score]
        scores = fused[peaks[:, 0], peaks[:, 1]].tolist()
        places = peaks[:, ::-1].astype(np.float64)
        if self.settings.subpixel:
            places = foerstner.refine(_grey(square), places)
        return tuple(
            Keypoint(*view.to_original(x, y), score=score, label=label)
            for (x, y), score in zip(places.tolist(), scores, strict=True)
        )


def _grey(square: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY).astype(np.float64))
