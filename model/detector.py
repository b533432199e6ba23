"""The detector: all stages, in order."""

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model import image
from model.devices import device_name, device_of, memory_errors, on_fastest_device
from model.keypoint import Box, Detection, Keypoint, select_best
from model.maps import interface
from model.maps.interface import ClassifyingMap, MapInput, MapSetup
from model.networks import Classifier
from model.peaks import activation_region, foerstner, fusion, nms
from model.profile import Profile
from model.settings import DEFAULT, DetectorSettings

# Smaller boxes hold too few pixels to detect anything, px a side.
SMALLEST_SIDE = 8


class Detector:
    """Finds keypoints with a classifier that was trained on class labels alone.

    Build it once and use it for many images: maps are prepared on construction.

    Attributes:
        classifier: as given; its network is on the GPU if there is one.
    """

    def __init__(self, classifier: Classifier, settings: DetectorSettings = DEFAULT) -> None:
        """
        Raises:
            ValueError: the settings or the network do not suit a map, for example an occluder
                larger than the network's input.
        """
        self.profile = Profile()
        network = on_fastest_device(classifier.network)
        self.classifier = replace(classifier, network=network)
        self.settings = settings
        self.input_size = settings.input_size or classifier.input_size
        self._network, self._device = network, device_of(network)
        rows = settings.maps()
        self._captions = {scale: rows[scale].caption for scale in ("coarse", "fine")}
        setup = MapSetup(self.classifier, self._network, self.input_size, settings)
        with self.profile.stage("prepare"):
            prepared = {row: interface.prepare(row, setup) for row in set(rows.values())}
        self._maps = {use: prepared[row] for use, row in rows.items()}

    @property
    def device(self) -> str:
        """Where it detects; see `device_name`."""
        return device_name(self._network)

    @memory_errors()
    def detect(self, picture: NDArray[np.uint8], box: Box | None = None) -> Detection:
        """Find keypoints on an image, or on a box of it.

        Args:
            picture: (H, W, 3) uint8, RGB, upright.
            box: where to look; None for the whole image.

        Raises:
            ValueError: the picture has another shape, or the box is empty, tiny or off the image.
            MemoryError: it does not fit into the memory of the GPU.
        """
        area = _expect_usable(picture, box)
        if box is None and "region" in self._maps:
            with self.profile.stage("region"):
                area = self._region(picture, area)
        with self.profile.stage("resize"):
            square, view = self._square(picture, area)
        given, probability = self._classify(square, "coarse")
        maps = {
            name: values[: view.height, : view.width]
            for name, values in self._compute_maps(given).items()
        }
        name = self.classifier.classes[given.predicted]
        with self.profile.stage("keypoints"):
            grey = given.grey[: view.height, : view.width]
            candidates = self._candidates(maps["fused"], grey, view, name)
            keypoints = select_best(
                candidates,
                keep=self.settings.keep,
                max_keypoints=self.settings.max_keypoints,
                min_score=self.settings.min_score,
            )
        height, width = picture.shape[:2]
        return Detection(
            class_name=name,
            probability=probability,
            keypoints=keypoints,
            width=width,
            height=height,
            box=area,
            maps=maps,
            captions=self._captions,
            candidates=candidates,
        )

    def _compute_maps(self, given: MapInput) -> Mapping[str, NDArray[np.float64]]:
        """Return the "coarse" scale, the "fine" scale and both "fused", each (S, S)."""
        with self.profile.stage("coarse"):
            coarse = self._maps["coarse"](given)
        with self.profile.stage("fine"):
            fine = self._maps["fine"](given)
        with self.profile.stage("fusion"):
            combine = fusion.fuse if self.settings.combination == "sum" else fusion.multiply
            fused = combine(
                coarse,
                fine,
                coarse_weight=self.settings.coarse_weight,
                fine_weight=self.settings.fine_weight,
            )
        return {"coarse": coarse, "fine": fine, "fused": fused}

    def _square(self, picture: NDArray[np.uint8], box: Box) -> tuple[NDArray[np.uint8], image.View]:
        """Resize a box of an image to the network's square; see `image.to_square`."""
        return image.to_square(picture, box, self.input_size, self.settings.resize)

    def _region(self, picture: NDArray[np.uint8], box: Box) -> Box:
        """Return the part of a box with class evidence; all of it if that part is too small."""
        square, view = self._square(picture, box)
        given, _ = self._classify(square, "region")
        evidence = self._maps["region"](given)
        region = activation_region.activation_region(
            evidence[: view.height, : view.width],
            box,
            threshold=self.settings.region_threshold,
            margin=self.settings.region_margin,
        )
        return region if min(region.width, region.height) >= SMALLEST_SIDE else box

    def _classify(self, square: NDArray[np.uint8], use: str) -> tuple[MapInput, float]:
        """Classify a square (S, S, 3), with the pass of the map of one use if that classifies.

        Returns:
            What the maps are computed from, and the probability of the class.
        """
        used = self._maps[use]
        with self.profile.stage("classify"):
            pixels = image.to_tensor(square, self.classifier.mean, self.classifier.std)
            run = used.run(pixels) if isinstance(used, ClassifyingMap) else None
            logits = (run.logits if run else self._logits(pixels)).double()
            predicted = int(logits.argmax())
            probability = float(logits.softmax(dim=0)[predicted])
        return MapInput(pixels, _grey(square), predicted, run), probability

    @torch.inference_mode()
    def _logits(self, pixels: Tensor) -> Tensor:
        """Return the network's output for one image, (classes,)."""
        batch = pixels[None].contiguous(memory_format=torch.channels_last)  # faster on processors
        logits: Tensor = self._network(batch.to(self._device))[0]
        return logits

    def _candidates(
        self,
        fused: NDArray[np.float64],
        grey: NDArray[np.float64],
        view: image.View,
        label: str,
    ) -> tuple[Keypoint, ...]:
        """Find all peaks of the fused map and map them to the original image, best first."""
        peaks = nms.ranked_peaks(
            fused,
            radius=self.settings.nms_radius * max(view.box.width, view.box.height),
            pixel_width=1 / view.scale_x,
            pixel_height=1 / view.scale_y,
            seed=self.settings.seed,
        )
        scores = fused[peaks[:, 0], peaks[:, 1]].tolist()
        places = peaks[:, ::-1].astype(np.float64)
        if self.settings.subpixel:
            places = foerstner.refine(grey, places)
        return tuple(
            Keypoint(*view.to_original(x, y), score=score, label=label)
            for (x, y), score in zip(places.tolist(), scores, strict=True)
        )


def _expect_usable(picture: NDArray[np.uint8], box: Box | None) -> Box:
    """Return the whole pixels of the box, or raise ValueError; see `Detector.detect`."""
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise ValueError(
            f"expected an RGB image (H, W, 3) of uint8, got {picture.shape} {picture.dtype}"
        )
    area = image.clip_box(box, picture.shape[1], picture.shape[0])
    if min(area.width, area.height) < SMALLEST_SIDE:
        raise ValueError(
            f"expected an image or a box of at least {SMALLEST_SIDE} px a side, "
            f"got {area.width:g} × {area.height:g}: draw a larger one"
        )
    return area


def _grey(square: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the brightness (S, S) of an image (S, S, 3), 0 to 255."""
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY).astype(np.float64))
