"""The detector's settings, and the version that identifies weights and settings together.

Standard library only: the web process computes the model version without loading torch.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args, get_origin

from model.maps import table
from model.weights_files import weights_fingerprint

# Raise this when a change to the code changes what the detector finds. For a change to one map,
# raise the version in its row of `model.maps.table` instead.
ALGORITHM = 1

if TYPE_CHECKING:
    CoarseMap: TypeAlias = str
    FineMap: TypeAlias = str
else:  # the names in the table, for command line and pydantic, which read choices from the type
    CoarseMap = Literal[table.names("coarse")]
    FineMap = Literal[table.names("fine")]


def _about(
    text: str, rule: str = "", holds: Callable[[Any], bool] = lambda value: True
) -> dict[str, Any]:
    """Return the metadata of a setting.

    Args:
        text: what it means, for the command line and the documentation.
        rule: its range, as the error message states it.
        holds: whether a value is within that range.
    """
    return {"help": text, "rule": rule, "holds": holds}


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Every setting that changes what is found. The defaults are the preset `default`.

    Each field's metadata has its meaning as "help". Command-line options and environment variables
    are derived from the fields, so a setting is declared here and nowhere else.

    Raises:
        ValueError: names every value out of its range.
    """

    input_size: int | None = field(
        default=None,
        metadata=_about(
            "side of the square that the network sees, px; none for the network's own",
            "input_size is None or at least 32",
            lambda value: value is None or value >= 32,
        ),
    )
    resize: Literal["squash", "pad"] = field(
        default="squash",
        metadata=_about("how an image becomes that square: squash or pad"),
    )
    window: int = field(default=16, metadata=_about("side of the occluding patch, px of the input"))
    stride: int = field(
        default=8, metadata=_about("distance from one patch to the next, px of the input")
    )
    fills: int = field(
        default=1,
        metadata=_about(
            "number of random fills whose occlusion maps are averaged",
            "fills is at least 1",
            lambda value: value >= 1,
        ),
    )
    seed: int = field(
        default=0, metadata=_about("seed of the random fills and of the order of equal peaks")
    )
    coarse: CoarseMap = field(
        default="activation",
        metadata=_about("coarse scale: occlusion, or the class activation inside the network"),
    )
    precision: Literal["float32", "bfloat16"] = field(
        default="float32",
        metadata=_about(
            "precision of the occlusion map; bfloat16 is coarser, and faster where the processor "
            "has units for it"
        ),
    )
    coarse_score: Literal["probability", "log-odds"] = field(
        default="probability",
        metadata=_about("score whose drop makes the occlusion map: probability or log-odds"),
    )
    activation_stride: int = field(
        default=16,
        metadata=_about(
            "px of the input for one cell of the class activation",
            "activation_stride is at least 1",
            lambda value: value >= 1,
        ),
    )
    fine: FineMap = field(
        default="corners",
        metadata=_about("fine scale: guided backpropagation, or corners of the image"),
    )
    fine_colours: Literal["max", "mean"] = field(
        default="max",
        metadata=_about("how the three colours of a gradient become one map: max or mean"),
    )
    corner_scale: float = field(
        default=2.0,
        metadata=_about(
            "blur before corners are measured, px of the input",
            "0 <= corner_scale <= 100",
            lambda value: 0 <= value <= 100,
        ),
    )
    combination: Literal["sum", "product"] = field(
        default="product",
        metadata=_about("combination of the scales: the sigmoid of their sum, or their product"),
    )
    coarse_weight: float = field(
        default=1.0,
        metadata=_about("weight of the coarse scale: factor in the sum, exponent in the product"),
    )
    fine_weight: float = field(
        default=0.5,
        metadata=_about("weight of the fine scale: factor in the sum, exponent in the product"),
    )
    region: Literal["none", "activation"] = field(
        default="activation",
        metadata=_about(
            "where to look without a box: the whole image (none), or where the class evidence is"
        ),
    )
    region_threshold: float = field(
        default=0.35,
        metadata=_about(
            "evidence that counts as part of the region, as a share of the largest",
            "0 < region_threshold <= 1",
            lambda value: 0 < value <= 1,
        ),
    )
    region_margin: float = field(
        default=0.1,
        metadata=_about(
            "margin on every side of the region, as a share of that side",
            "0 <= region_margin <= 1",
            lambda value: 0 <= value <= 1,
        ),
    )
    nms_radius: float = field(
        default=0.03,
        metadata=_about(
            "smallest distance between keypoints, as a share of the box's longer side",
            "0 <= nms_radius <= 1",
            lambda value: 0 <= value <= 1,
        ),
    )
    subpixel: bool = field(
        default=True, metadata=_about("refine positions with the Förstner operator")
    )
    keep: float = field(
        default=1.0,
        metadata=_about(
            "share of the peaks that is kept, best first",
            "0 < keep <= 1",
            lambda value: 0 < value <= 1,
        ),
    )
    max_keypoints: int | None = field(
        default=20,
        metadata=_about(
            "largest number of keypoints, applied after keep; none for no limit",
            "max_keypoints is None or at least 1",
            lambda value: value is None or value >= 1,
        ),
    )
    min_score: float = field(
        default=0.0,
        metadata=_about(
            "keypoints below this score are dropped",
            "0 <= min_score <= 1",
            lambda value: 0 <= value <= 1,
        ),
    )

    def __post_init__(self) -> None:
        broken = [*self._values_out_of_range(), *self._values_that_conflict()]
        if broken:
            raise ValueError(f"expected {'; '.join(broken)}; got {self}")

    def _values_out_of_range(self) -> list[str]:
        broken = []
        for setting in fields(self):
            value, allowed = getattr(self, setting.name), choices(setting.name)
            if allowed and value not in allowed:
                broken.append(f"{setting.name} is {' or '.join(allowed)}")
            elif not setting.metadata["holds"](value):
                broken.append(setting.metadata["rule"])
        return broken

    def _values_that_conflict(self) -> list[str]:
        weights = (self.coarse_weight, self.fine_weight)
        rules = {
            "1 <= stride <= window": 1 <= self.stride <= self.window,
            "weights are not negative, and not both 0": min(weights) >= 0 and sum(weights) > 0,
        }
        return [rule for rule, holds in rules.items() if not holds]

    def maps(self) -> dict[str, table.MapRow]:
        """Return the row of each map in use, by what it is used for: coarse, fine, region."""
        used = {
            "coarse": table.find("coarse", self.coarse),
            "fine": table.find("fine", self.fine),
        }
        if self.region != "none":
            used["region"] = table.find("coarse", self.region)
        return used


def choices(name: str) -> tuple[str, ...]:
    """Return the values that the setting of this name may take; empty for numbers and switches."""
    if name in ("coarse", "fine"):
        return table.names("coarse" if name == "coarse" else "fine")
    (hint,) = (setting.type for setting in fields(DetectorSettings) if setting.name == name)
    return get_args(hint) if get_origin(hint) is Literal else ()


# Chosen on drawings and training images; docs/evaluation.md says what it reaches, and what did not
# help.
DEFAULT = DetectorSettings()

# The method as published. Its rule (the top 40 %) leaves some 250 keypoints on a photo.
POSTER = DetectorSettings(
    coarse="occlusion",
    fine="guided",
    corner_scale=1.0,
    combination="sum",
    fine_weight=1.0,
    region="none",
    region_threshold=0.2,
    keep=0.4,
    max_keypoints=None,
)

PRESETS = {"poster": POSTER, "default": DEFAULT}


def model_version(arch: str, weights: str, settings: DetectorSettings) -> str:
    """Identify weights and settings together, as in `squeezenet1_1-3f9a2c81d0`.

    Args:
        arch: name of the network.
        weights: `IMAGENET1K_V1` or the path of a weights file.

    Returns:
        A string of `[A-Za-z0-9_-]` that changes whenever the weights file, the JSON beside it or a
        setting that affects the result changes.

    Raises:
        FileNotFoundError: `weights` names a file that does not exist.
    """
    return version_name(arch, weights_fingerprint(weights), settings)


def version_name(arch: str, fingerprint: str, settings: DetectorSettings) -> str:
    """Compute `model_version` from the weights' fingerprint, without reading the weights."""
    facts: list[object] = [ALGORITHM, arch, asdict(settings)]
    # A first version is left out, so that a map's later one changes no other model's version.
    raised = {use: row.version for use, row in settings.maps().items() if row.version > 1}
    if raised:
        facts.append(raised)
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(bytes.fromhex(fingerprint))
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', arch)}-{digest.hexdigest()[:10]}"
