"""What may be set about the detector, and the version that names weights and settings together.

Standard library only: the web process tells the model version without loading torch.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

# Raise it whenever a change to the code changes what the detector finds.
ALGORITHM = 1

# Weights that torchvision downloads by itself, for every architecture that has them.
TORCHVISION_WEIGHTS = "IMAGENET1K_V1"

# The light choice for a CPU; vgg19 is the reference of the method.
DEFAULT_ARCH = "squeezenet1_1"


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Every setting that changes what is found; the defaults are the poster's but for one.

    The poster's rule (the top 40 %) leaves some 250 keypoints on a photo, more than anybody wants
    to check by hand; `max_keypoints` is ours. `POSTER` is without it.

    Attributes:
        input_size: side of the square that the network sees, px; None for the network's own.
        resize: how a box becomes that square: "squash" both sides, or "pad" the shorter one.
        window, stride: of the occluder, px of the network's input.
        fills: random fills whose occlusion maps are averaged.
        seed: of the random fills and of the order of equal peaks.
        coarse: what the coarse scale is: the "occlusion" map, or the class "activation" inside the
            network, averaged over the image and its mirror image.
        precision: of the products in the occlusion map's network: "float32", or the faster and
            coarser "bfloat16" where the processor or the GPU has it.
        coarse_score: fall of the "probability" of the predicted class, or of its "log-odds".
        activation_stride: px of the network's input for one cell of the class activation.
        fine: what the fine scale is: "guided" backpropagation, or "corners" of the image.
        fine_colours: how the gradient's three colours become one map: "max" or "mean" of the
            absolute value.
        corner_scale: blur before corners are measured, px of the network's input.
        combination: of the two scales: the poster's sigmoid of their "sum", or their "product".
        coarse_weight, fine_weight: factors in the sum, exponents in the product.
        region: where to look when no box is given: the whole image ("none"), or the region that
            the class "activation" on the whole image leaves.
        region_threshold: evidence from which on a cell belongs to the region, as a share of the
            largest.
        region_margin: added to the region on every side, as a share of that side.
        nms_radius: two keypoints are farther apart than this share of the box's longer side.
        subpixel: refine positions with the Förstner operator.
        keep: share of the peaks that is kept, best first.
        max_keypoints: at most so many, after `keep`; None for no limit.
        min_score: keypoints below this score are dropped.
    """

    input_size: int | None = None
    resize: Literal["squash", "pad"] = "squash"
    window: int = 16
    stride: int = 8
    fills: int = 1
    seed: int = 0
    coarse: Literal["occlusion", "activation"] = "occlusion"
    precision: Literal["float32", "bfloat16"] = "float32"
    coarse_score: Literal["probability", "log-odds"] = "probability"
    activation_stride: int = 16
    fine: Literal["guided", "corners"] = "guided"
    fine_colours: Literal["max", "mean"] = "max"
    corner_scale: float = 1.0
    combination: Literal["sum", "product"] = "sum"
    coarse_weight: float = 1.0
    fine_weight: float = 1.0
    region: Literal["none", "activation"] = "none"
    region_threshold: float = 0.2
    region_margin: float = 0.1
    nms_radius: float = 0.03
    subpixel: bool = True
    keep: float = 0.4
    max_keypoints: int | None = 20
    min_score: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError that names every value out of its range."""
        rules = {
            "input_size is None or at least 32": self.input_size is None or self.input_size >= 32,
            "resize is squash or pad": self.resize in ("squash", "pad"),
            "1 <= stride <= window": 1 <= self.stride <= self.window,
            "fills is at least 1": self.fills >= 1,
            "coarse_score is probability or log-odds": self.coarse_score
            in ("probability", "log-odds"),
            "precision is float32 or bfloat16": self.precision in ("float32", "bfloat16"),
            "coarse is occlusion or activation": self.coarse in ("occlusion", "activation"),
            "activation_stride is at least 1": self.activation_stride >= 1,
            "fine is guided or corners": self.fine in ("guided", "corners"),
            "0 <= corner_scale <= 100": 0 <= self.corner_scale <= 100,
            "combination is sum or product": self.combination in ("sum", "product"),
            "region is none or activation": self.region in ("none", "activation"),
            "0 < region_threshold <= 1": 0 < self.region_threshold <= 1,
            "0 <= region_margin <= 1": 0 <= self.region_margin <= 1,
            "fine_colours is max or mean": self.fine_colours in ("max", "mean"),
            "weights are not negative, and not both 0": min(self.coarse_weight, self.fine_weight)
            >= 0
            and self.coarse_weight + self.fine_weight > 0,
            "0 <= nms_radius <= 1": 0 <= self.nms_radius <= 1,
            "0 < keep <= 1": 0 < self.keep <= 1,
            "max_keypoints is None or at least 1": self.max_keypoints is None
            or self.max_keypoints >= 1,
            "0 <= min_score <= 1": 0 <= self.min_score <= 1,
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ValueError(f"expected {'; '.join(broken)}; got {self}")


POSTER = DetectorSettings(max_keypoints=None)

# Chosen on drawings and training images; what it reaches, and what did not help, stands in
# docs/evaluation.md.
DEFAULT = DetectorSettings(
    coarse="activation",
    fine="corners",
    corner_scale=2.0,
    combination="product",
    fine_weight=0.5,
    region="activation",
    region_threshold=0.35,
    keep=1.0,
)

PRESETS = {"poster": POSTER, "default": DEFAULT}


def sidecar(weights: Path) -> Path:
    """The JSON beside a weights file that names architecture, classes, size and normalisation."""
    return weights.with_suffix(".json")


def is_file_name(weights: str) -> bool:
    """Whether `weights` names a file, as opposed to torchvision's own weights."""
    return weights != TORCHVISION_WEIGHTS


def resolve_model(arch: str | None, weights: str | None) -> tuple[str, str]:
    """Fill in what was left out: architecture from the weights' JSON, weights from torchvision.

    Raises:
        FileNotFoundError: `weights` names a file that is not there.
        ValueError: the JSON beside the weights names another architecture than `arch`.
    """
    weights = weights or TORCHVISION_WEIGHTS
    if not is_file_name(weights):
        return arch or DEFAULT_ARCH, weights
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a weights file at {weights}, found none: "
            f"give the path of a .safetensors or .pth file, or {TORCHVISION_WEIGHTS}"
        )
    named = None
    if sidecar(path).exists():
        named = json.loads(sidecar(path).read_text()).get("arch")
    if arch and named and arch != named:
        raise ValueError(
            f"{sidecar(path)} says that the weights are of {named}, but {arch} was asked for: "
            f"leave the architecture out, or give the weights of a {arch}"
        )
    return arch or named or DEFAULT_ARCH, weights


def model_version(arch: str, weights: str, settings: DetectorSettings) -> str:
    """Name weights and settings together, as in `squeezenet1_1-3f9a2c81d0`.

    Args:
        arch: of the network.
        weights: `IMAGENET1K_V1` or the path of a weights file.

    Returns:
        A string of `[A-Za-z0-9_-]` that changes whenever the weights file, the JSON beside it or a
        setting that changes the result changes.

    Raises:
        FileNotFoundError: `weights` names a file that is not there.
    """
    return version_name(arch, weights_fingerprint(weights), settings)


def weights_fingerprint(weights: str) -> str:
    """Hexadecimal digits that change whenever a weights file or the JSON beside it changes.

    Raises:
        FileNotFoundError: `weights` names a file that is not there.
    """
    if not is_file_name(weights):
        return weights.encode().hex()
    path = Path(weights)
    digits = ""
    for part in (path, sidecar(path)):
        if part == path or part.exists():
            with part.open("rb") as file:
                digits += hashlib.file_digest(file, "sha256").hexdigest()
    return digits


def version_name(arch: str, fingerprint: str, settings: DetectorSettings) -> str:
    """`model_version` for weights of which no more than the fingerprint is at hand."""
    digest = hashlib.sha256()
    digest.update(json.dumps([ALGORITHM, arch, asdict(settings)], sort_keys=True).encode())
    digest.update(bytes.fromhex(fingerprint))
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', arch)}-{digest.hexdigest()[:10]}"
