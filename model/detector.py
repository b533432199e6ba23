"""The detector: all stages, in order, and nothing else."""

import copy
import math
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model import image
from model.keypoint import Box, Detection, Keypoint
from model.maps import class_activation, corners, guided_backprop, incremental, occlusion
from model.networks import Classifier
from model.peaks import activation_region, foerstner, fusion, nms
from model.profile import Profile
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
            ValueError: the occluder is larger than the network's input, or the network is in
                training mode or has half-precision weights.
        """
        self.profile = Profile()
        self.classifier = classifier
        self.settings = settings or DetectorSettings()
        self.input_size = self.settings.input_size or classifier.input_size
        positions = occlusion.patch_positions(
            self.input_size, self.settings.window, self.settings.stride
        )
        fills = occlusion.random_fills(
            self.settings.fills, self.input_size, self.input_size, self.settings.seed
        )
        self._network = on_fastest_device(classifier.network)
        self._device = next(self._network.parameters()).device
        self._fills = image.normalise(fills, classifier.mean, classifier.std).to(self._device)
        if self.settings.coarse == "occlusion":
            with self.profile.stage("prepare"):
                self._hidden_logits = self._way_to_hidden_logits(positions)

    def _way_to_hidden_logits(self, positions: Sequence[int]) -> incremental.HiddenLogits:
        window = self.settings.window
        return incremental.fastest(
            self._network,
            occlusion.DenseLogits(self._network, positions, positions, window),
            (self.input_size, self.input_size),
            positions,
            positions,
            window,
            precision=self.settings.precision,
        )

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
            with self.profile.stage("region"):
                box = self._region(picture, box)
        with self.profile.stage("resize"):
            square, view, pixels = self._look(picture, box)

        with self.profile.stage("classify"):
            predicted, probability = self._classify(pixels)
        coarse, fine, fused = self._maps(pixels, square, predicted)

        filled = (slice(view.height), slice(view.width))
        name = self.classifier.classes[predicted]
        with self.profile.stage("keypoints"):
            keypoints = self._keypoints(fused[filled], square[filled], view, name)
        return Detection(
            class_name=name,
            probability=probability,
            keypoints=keypoints,
            width=width,
            height=height,
            box=box,
            maps={"coarse": coarse[filled], "fine": fine[filled], "fused": fused[filled]},
        )

    def _maps(
        self, pixels: Tensor, square: NDArray[np.uint8], predicted: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The coarse scale, the fine scale and both together, each of the square's size."""
        with self.profile.stage("coarse"):
            if self.settings.coarse == "occlusion":
                coarse = self._coarse(pixels, predicted)
            else:
                coarse = self._activation(pixels, predicted)
        with self.profile.stage("fine"):
            if self.settings.fine == "guided":
                fine = self._fine(pixels, predicted)
            else:
                fine = corners.corner_map(_grey(square), self.settings.corner_scale)
        with self.profile.stage("fusion"):
            combine = fusion.fuse if self.settings.combination == "sum" else fusion.multiply
            fused = combine(
                coarse,
                fine,
                coarse_weight=self.settings.coarse_weight,
                fine_weight=self.settings.fine_weight,
            )
        return coarse, fine, fused

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
        logits = self._network(pixels[None].to(self._device))[0].double()
        predicted = int(logits.argmax())
        return predicted, float(logits.softmax(dim=0)[predicted])

    def _coarse(self, pixels: Tensor, predicted: int) -> NDArray[np.float64]:
        settings = self.settings
        clean, hidden = self._hidden_logits(pixels.to(self._device), self._fills)
        score = partial(occlusion.class_scores, predicted=predicted, kind=settings.coarse_score)
        heat = occlusion.map_of_scores(
            score(clean[None])[0],
            score(hidden.flatten(0, 2)).view(hidden.shape[:3]),
            self.input_size,
            self.input_size,
            window=settings.window,
            stride=settings.stride,
        )
        return np.asarray(heat.numpy())

    def _activation(self, pixels: Tensor, predicted: int) -> NDArray[np.float64]:
        evidence = class_activation.flip_averaged(
            self.classifier.network, pixels, predicted, stride=self.settings.activation_stride
        )
        size = (self.input_size, self.input_size)
        return np.asarray(cv2.resize(evidence.numpy(), size, interpolation=cv2.INTER_LINEAR))

    def _fine(self, pixels: Tensor, predicted: int) -> NDArray[np.float64]:
        gradient = guided_backprop.guided_backprop(
            self._network, pixels.to(self._device), predicted
        )
        heat = guided_backprop.colours_to_map(gradient, self.settings.fine_colours)
        return np.asarray(heat.cpu().numpy())

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


def on_fastest_device(network: nn.Module) -> nn.Module:
    """A copy of a network on the GPU; the network itself where it is there or there is none."""
    if not torch.cuda.is_available() or next(network.parameters()).is_cuda:
        return network
    return copy.deepcopy(network).to("cuda")


def _grey(square: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY).astype(np.float64))
