"""The methods for the occlusion map that the benchmark compares, each run in its own process.

It prints one line of JSON: `python -m studies.benchmark_methods '{"arch": "vgg19", "method":
"dense"}'`.
"""

import json
import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from drawings.drawing import draw
from model.decoding import read
from model.detector import Detector
from model.image import clip_box, normalise, to_square, to_tensor
from model.maps.guided_backprop import colours_to_map, guided_backprop
from model.maps.incremental.choice import fastest
from model.maps.incremental.logits import IncrementalLogits
from model.maps.occlusion import (
    DenseLogits,
    class_scores,
    patch_positions,
    random_fills,
    spread_over_pixels,
)
from model.networks import (
    IMAGENET_CLASSES,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Classifier,
    build_network,
    load_classifier,
)
from model.peaks.fusion import fuse
from model.peaks.nms import ranked_peaks
from model.settings import POSTER, PRESETS, DetectorSettings

SIDE, WINDOW, STRIDE = 224, 16, 8

# Standard deviation of a trained network's logits, to which random weights are scaled.
LOGIT_SPREAD = 3.0


@dataclass(frozen=True)
class Task:
    """One measurement, for one process.

    Attributes:
        arch: architecture of the network.
        method: a key of `METHODS`; "peak" for the highest rate of a convolution; or a preset, for
            the whole detector.
        weights: a weights file; None for random weights, scaled to be about as certain as trained
            ones.
        image: an image file; None for a drawing.
        precision: "float32" or "bfloat16".
        batch: patches that captum hides at once.
        window, stride: side and step of the patch, px.
    """

    arch: str
    method: str
    weights: str | None = None
    image: str | None = None
    precision: str = "float32"
    batch: int = 8
    window: int = WINDOW
    stride: int = STRIDE


@dataclass(frozen=True)
class Outcome:
    """The result of a measurement.

    Attributes:
        seconds: for one image.
        prepare_seconds: preparation, once for a network.
        peak_mb: peak memory of the process, with everything that it loaded.
        tera_operations: multiplications and additions for one image, 10¹².
        falls: (rows, columns), fall of the predicted class's probability for each hidden patch.
        points: row and column of each keypoint found from the falls, highest score first.
    """

    seconds: float
    prepare_seconds: float = 0.0
    peak_mb: float = 0.0
    tera_operations: float = 0.0
    falls: list[list[float]] | None = None
    points: list[list[int]] | None = None


class Case:
    """Network, image and random fill that all methods share."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.positions = patch_positions(SIDE, task.window, task.stride)
        self.picture = _picture(task.image)
        self.pixels = _pixels(self.picture)
        fills = random_fills(1, SIDE, SIDE, seed=0)
        self.fills = normalise(fills, IMAGENET_MEAN, IMAGENET_STD)
        self.classifier = self._load()

    def _load(self) -> Classifier:
        """Load the network, or build it with random weights and ImageNet's normalisation."""
        if self.task.weights:
            return load_classifier(self.task.arch, self.task.weights)
        torch.manual_seed(0)
        network = build_network(self.task.arch, IMAGENET_CLASSES)
        self._scale_logits(network)
        names = tuple(str(number) for number in range(IMAGENET_CLASSES))
        return Classifier(network, self.task.arch, names, SIDE, IMAGENET_MEAN, IMAGENET_STD)

    @torch.inference_mode()
    def _scale_logits(self, network: nn.Module) -> None:
        last = [part for part in network.modules() if isinstance(part, nn.Linear | nn.Conv2d)][-1]
        spread = network(self.pixels[None]).std()
        for parameter in last.parameters():
            parameter.mul_(LOGIT_SPREAD / float(spread))

    @property
    def network(self) -> nn.Module:
        """Images (B, 3, H, W) → logits."""
        return self.classifier.network

    def dense(self, network: Callable[[Tensor], Tensor]) -> DenseLogits:
        """Return our dense loop around any function from images to logits."""
        return DenseLogits(network, self.positions, self.positions, self.task.window)

    def falls(self, clean: Tensor, hidden: Tensor) -> Tensor:
        """Return the fall of the predicted class's probability, (rows, columns).

        Args:
            clean: logits of the image, (classes,).
            hidden: logits with each patch hidden, (rows, columns, classes).
        """
        predicted = int(clean.argmax())
        scores = class_scores(hidden.flatten(0, -2), predicted, "probability")
        fall = class_scores(clean[None], predicted, "probability") - scores
        return fall.view(len(self.positions), len(self.positions))

    def points(self, falls: Tensor) -> list[list[int]]:
        """Return row and column (px) of the keypoints that preset `poster` finds from the falls."""
        task = self.task
        coarse = spread_over_pixels(
            falls.clamp(min=0), SIDE, SIDE, window=task.window, stride=task.stride
        )
        fine = colours_to_map(guided_backprop(self.network, self.pixels), POSTER.fine_colours)
        fused = fuse(
            coarse.numpy(),
            fine.numpy(),
            coarse_weight=POSTER.coarse_weight,
            fine_weight=POSTER.fine_weight,
        )
        peaks = ranked_peaks(fused, radius=POSTER.nms_radius * SIDE, seed=POSTER.seed)
        return [[int(row), int(column)] for row, column in peaks]


def _picture(path: str | None) -> NDArray[np.uint8]:
    """Read an image file; without one, return a drawing."""
    return read(Path(path)) if path else draw(0).image


def _pixels(picture: NDArray[np.uint8]) -> Tensor:
    """(3, SIDE, SIDE), normalised."""
    height, width = picture.shape[:2]
    square, _ = to_square(picture, clip_box(None, width, height), SIDE, "squash")
    return to_tensor(square, IMAGENET_MEAN, IMAGENET_STD)


@dataclass(frozen=True)
class Method:
    """A method for the map, prepared for a network.

    Attributes:
        run: computes the falls of the image, (rows, columns).
        multiplications: for one image; None if the whole network runs for each patch.
    """

    run: Callable[[], Tensor]
    multiplications: float | None = None


def captum(case: Case) -> Method:
    """Captum's `Occlusion`, called as in its documentation."""
    from captum.attr import Occlusion

    with torch.inference_mode():
        predicted = int(case.network(case.pixels[None]).argmax())
    scored: list[Tensor] = []

    def score(images: Tensor) -> Tensor:
        scored.append(class_scores(case.network(images), predicted, "probability"))
        return scored[-1]

    def run() -> Tensor:
        scored.clear()
        with torch.inference_mode():
            Occlusion(score).attribute(
                case.pixels[None],
                sliding_window_shapes=(3, case.task.window, case.task.window),
                strides=(3, case.task.stride, case.task.stride),
                baselines=case.fills,
                perturbations_per_eval=case.task.batch,
            )
        # Captum scores the image first, then the patches column by column.
        side = len(case.positions)
        return scored[0] - torch.cat(scored[1:]).view(side, side).t()

    return Method(run)


def dense(case: Case) -> Method:
    """Our dense loop."""
    loop = case.dense(case.network)
    return Method(lambda: case.falls(*loop(case.pixels, case.fills)))


def windows(case: Case) -> Method:
    """The detector's own choice: the windows, or the dense loop for networks without them."""
    logits = fastest(
        case.network,
        case.dense(case.network),
        (SIDE, SIDE),
        case.positions,
        case.positions,
        case.task.window,
        precision=case.task.precision,
    )
    return Method(
        lambda: case.falls(*logits(case.pixels, case.fills)),
        logits.plan.multiplications() if isinstance(logits, IncrementalLogits) else None,
    )


def onnxruntime(case: Case) -> Method:
    """Our dense loop around ONNX Runtime."""
    runtime = import_module("onnxruntime")

    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            case.network,
            (torch.zeros(2, 3, SIDE, SIDE),),
            path,
            input_names=["images"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def network(images: Tensor) -> Tensor:
        (logits,) = session.run(None, {"images": images.contiguous().numpy()})
        return torch.from_numpy(logits)

    loop = case.dense(network)
    return Method(lambda: case.falls(*loop(case.pixels, case.fills)))


def openvino(case: Case) -> Method:
    """Our dense loop around OpenVINO, set to float32."""
    vino = import_module("openvino")

    sample = torch.zeros(2, 3, SIDE, SIDE)
    model = vino.convert_model(case.network, example_input=sample, input=[-1, 3, SIDE, SIDE])
    compiled = vino.Core().compile_model(
        model,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        },
    )

    def network(images: Tensor) -> Tensor:
        return torch.from_numpy(compiled(images.contiguous().numpy())[0].copy())

    loop = case.dense(network)
    return Method(lambda: case.falls(*loop(case.pixels, case.fills)))


METHODS: dict[str, Callable[[Case], Method]] = {
    "captum": captum,
    "dense": dense,
    "incremental": windows,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
}


def installed(method: str) -> bool:
    """Return whether the library that a method needs is installed."""
    return method not in ("captum", "onnxruntime", "openvino") or find_spec(method) is not None


def run_task(task: Task) -> Outcome:
    """Measure in this process."""
    if task.method == "peak":
        return Outcome(seconds=0.0, tera_operations=peak_tera_operations(task.precision))
    case = Case(task)
    if task.method in PRESETS:
        return time_detector(case, PRESETS[task.method])
    begin = perf_counter()
    method = METHODS[task.method](case)
    prepared = perf_counter()
    if task.method == "incremental":
        method.run()  # as a worker's first image, whose memory the later ones use again
    else:
        with torch.inference_mode():
            case.network(case.pixels[None])
    start = perf_counter()
    falls = method.run()
    end = perf_counter()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    multiplications = method.multiplications or dense_multiplications(case)
    return Outcome(
        seconds=end - start,
        prepare_seconds=prepared - begin,
        peak_mb=peak_mb,
        tera_operations=2e-12 * multiplications,
        falls=falls.tolist(),
        points=case.points(falls),
    )


def time_detector(case: Case, settings: DetectorSettings) -> Outcome:
    """Measure the detector on its second image, from file to keypoints, without occlusion map."""
    detector = Detector(case.classifier, settings)
    _, encoded = cv2.imencode(".jpg", case.picture[..., ::-1])
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(encoded.tobytes())
        file.flush()
        for _ in range(2):
            detector.profile.seconds.clear()
            with detector.profile.stage("decode"):
                picture = read(Path(file.name))
            detection = detector.detect(picture)
            with detector.profile.stage("encode"):
                json.dumps([asdict(point) for point in detection.keypoints])
    seconds = detector.profile.seconds
    map_seconds = seconds["coarse"] if settings.coarse == "occlusion" else 0.0
    return Outcome(sum(seconds.values()) - map_seconds)


def dense_multiplications(case: Case) -> float:
    """Return the multiplications of all layers for one image with each patch hidden in turn."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        case.network(case.pixels[None])
    return int(counter.get_total_flops()) / 2 * len(case.positions) ** 2


def peak_tera_operations(precision: str) -> float:
    """Return the best rate of a convolution that suits the processor, 10¹² operations a second."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    images = torch.randn(32, 512, 14, 14).to(dtype, memory_format=torch.channels_last)
    weight = torch.randn(512, 512, 3, 3).to(dtype)
    seconds = []
    with torch.inference_mode():
        for _ in range(10):
            begin = perf_counter()
            functional.conv2d(images, weight, padding=1)
            seconds.append(perf_counter() - begin)
    return 2e-12 * images.shape[0] * 14 * 14 * weight.numel() / min(seconds)


def main() -> None:
    """Run the task that the first argument describes and print its result."""
    outcome = run_task(Task(**json.loads(sys.argv[1])))
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
