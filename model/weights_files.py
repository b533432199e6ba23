"""Weights files by name: which one is meant, what the JSON beside it says, and its fingerprint.

Standard library only: the web process computes the model version without loading torch.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

# Weights that torchvision downloads by itself, for every architecture that has them.
TORCHVISION_WEIGHTS = "IMAGENET1K_V1"

# The light choice for a CPU; vgg19 is the reference of the method.
DEFAULT_ARCH = "squeezenet1_1"


def sidecar(weights: Path) -> Path:
    """Return the path of the JSON beside a weights file.

    It names the architecture, the classes, the input size and the normalisation.
    """
    return weights.with_suffix(".json")


def read_sidecar(weights: Path) -> dict[str, Any]:
    """Read the JSON beside a weights file; empty if there is none.

    Raises:
        ValueError: the file is not JSON, or not an object; the message names it.
    """
    described = sidecar(weights)
    if not described.exists():
        return {}
    try:
        facts = json.loads(described.read_text())
    except ValueError as error:
        raise ValueError(f"{described} is not JSON: {error}") from error
    if not isinstance(facts, dict):
        raise ValueError(f"expected an object in {described}, got {type(facts).__name__}")
    return facts


def is_file_name(weights: str) -> bool:
    """Return whether `weights` names a file, as opposed to torchvision's own weights."""
    return weights != TORCHVISION_WEIGHTS


def resolve_model(arch: str | None, weights: str | None) -> tuple[str, str]:
    """Fill in what was left out: the architecture from the weights' JSON, torchvision's weights.

    Returns:
        Architecture and weights.

    Raises:
        FileNotFoundError: `weights` names a file that does not exist.
        ValueError: the JSON beside the weights is malformed, or names another architecture.
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
    named = read_sidecar(path).get("arch")
    if arch and named and arch != named:
        raise ValueError(
            f"{sidecar(path)} says that the weights are of {named}, but {arch} was requested: "
            f"leave the architecture out, or give the weights of a {arch}"
        )
    return arch or named or DEFAULT_ARCH, weights


def weights_fingerprint(weights: str) -> str:
    """Return hexadecimal digits that change whenever a weights file or its JSON changes.

    Raises:
        FileNotFoundError: `weights` names a file that does not exist.
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
