"""What the network sees in an image and in its mirror image, on a grid, in a few numbers a cell."""

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model.devices import device_of, memory_errors
from model.image import to_tensor
from model.keypoint import Box
from model.naming.frame import Frame, cut, frame_of
from model.naming.stages import on_grid, stage_activations
from model.networks import Classifier

STRIDES = (4, 8, 16)
INPUT_SIZE = 320  # px
GRID = 40  # cells along each side
DIMENSIONS = 160
# Features are stored in so many steps to either side of zero.
LEVELS = 31
# Goes into the key: raise it with every change of what features are.
VERSION = 1

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, eq=False)
class ExampleFeatures:
    """Features of one image, and of its mirror image.

    Attributes:
        key: the extractor's; features with different keys cannot be compared.
        frame: the part of the image that was described.
        seen: (grid, grid, D) float16, row by row from the top left.
        mirrored: the same of the mirror image, left as the mirror image has it: its column 0 shows
            the right edge of the frame.
    """

    key: str
    frame: Frame
    seen: NDArray[np.float16]
    mirrored: NDArray[np.float16]

    def to_bytes(self) -> bytes:
        """Return the features rounded to 63 levels of each dimension, and compressed."""
        both = np.stack([self.seen, self.mirrored]).astype(np.float32)
        scale = np.maximum(np.abs(both).max(axis=(0, 1, 2)), 1e-6).astype(np.float32)
        coded = np.rint(both * (LEVELS / scale)).astype(np.int8)
        frame = self.frame
        head = json.dumps(
            {
                "key": self.key,
                "frame": [frame.left, frame.top, frame.side, frame.length, frame.boxed],
                "shape": self.seen.shape,
                "levels": LEVELS,
            }
        ).encode()
        # Neighbours hardly repeat, so that looking for repetitions would only take time.
        huffman = zlib.compressobj(1, strategy=zlib.Z_HUFFMAN_ONLY)
        packed = huffman.compress(coded.tobytes()) + huffman.flush()
        return b"".join([_LENGTH.pack(len(head)), head, scale.tobytes(), packed])

    @classmethod
    def from_bytes(cls, data: bytes) -> "ExampleFeatures":
        """Return what `to_bytes` wrote, now or before it compressed (127 levels, as they were).

        Raises:
            ValueError: the bytes are cut off, or something else.
        """
        try:
            (length,) = _LENGTH.unpack_from(data)
            start = _LENGTH.size + length
            head = json.loads(data[_LENGTH.size : start])
            rows, columns, dimensions = head["shape"]
            scale = np.frombuffer(data, np.float32, dimensions, start)
            levels = head.get("levels")
            rest = data[start + scale.nbytes :]
            coded = np.frombuffer(zlib.decompress(rest) if levels else rest, np.int8)
            both = coded.reshape(2, rows, columns, dimensions) * (scale / (levels or 127))
            frame = Frame(*head["frame"])
        except (zlib.error, struct.error, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"expected features as to_bytes writes them: {error}") from error
        seen, mirrored = both.astype(np.float16)
        return cls(str(head["key"]), frame, seen, mirrored)


class FeatureExtractor:
    """Describe images by the activations of a classifier.

    The last activations of strides 4, 8 and 16 are brought to one grid. The square root of each is
    divided by its length in every cell; together they are projected to a few dimensions by a fixed
    random matrix with orthogonal rows, which keeps angles approximately.
    """

    def __init__(self, classifier: Classifier, fingerprint: str) -> None:
        """Keep the network.

        Args:
            classifier: any network that the detector accepts.
            fingerprint: changes with the weights; from `model.weights_files.weights_fingerprint`.
        """
        self._classifier = classifier
        self._projections: dict[int, NDArray[np.float32]] = {}
        weights = hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
        strides = ".".join(map(str, STRIDES))
        self.key = (
            f"{classifier.arch}-{weights}-{INPUT_SIZE}-{strides}-{GRID}x{DIMENSIONS}-v{VERSION}"
        )

    @memory_errors()
    def extract(self, image: NDArray[np.uint8], box: Box | None) -> ExampleFeatures:
        """Describe the part of an image around a box; the whole image for None.

        Args:
            image: (H, W, 3), RGB, upright.
            box: px.

        Raises:
            ValueError: the box is empty, not finite or outside the image.
            MemoryError: the network does not fit into the memory of the GPU.
        """
        frame = frame_of(box, image.shape[1], image.shape[0])
        square = cut(image, frame, INPUT_SIZE)
        pixels = to_tensor(square, self._classifier.mean, self._classifier.std)
        network = self._classifier.network
        stages = stage_activations(
            network,
            torch.stack([pixels, pixels.flip(2)]).to(device_of(network)),
            STRIDES,
            classes=len(self._classifier.classes),
        )
        whole = np.concatenate([unit(on_grid(each, INPUT_SIZE, GRID)) for each in stages], axis=-1)
        seen, mirrored = (whole @ self._projection(whole.shape[-1])).astype(np.float16)
        return ExampleFeatures(self.key, frame, seen, mirrored)

    def _projection(self, channels: int) -> NDArray[np.float32]:
        if channels not in self._projections:
            self._projections[channels] = projection(channels, DIMENSIONS)
        return self._projections[channels]


def unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the square root of each value, keep its sign, and divide (..., C) by its length."""
    rooted = np.sign(values) * np.sqrt(np.abs(values))
    length = np.linalg.norm(rooted, axis=-1, keepdims=True)
    return np.asarray(rooted / np.maximum(length, 1e-6), np.float32)


def projection(channels: int, dimensions: int) -> NDArray[np.float32]:
    """Return a fixed (channels, dimensions) matrix with orthogonal columns that keeps lengths.

    The identity, if there are no more channels than dimensions.
    """
    if channels <= dimensions:
        return np.eye(channels, dtype=np.float32)
    # RandomState, because its stream never changes.
    drawn = np.random.RandomState(0).standard_normal((channels, dimensions))
    columns, _ = np.linalg.qr(drawn)
    return np.asarray(columns * np.sqrt(channels / dimensions), np.float32)
