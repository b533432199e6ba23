"""Build, load and save classifiers. The only module that imports torchvision."""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, fx, nn

from model.small_network import small_network
from model.weights_files import (
    TORCHVISION_WEIGHTS,
    is_file_name,
    read_sidecar,
    resolve_model,
    sidecar,
)

SMALL = "small"

# Normalisation of the inputs that torchvision's ImageNet weights were trained on.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_CLASSES = 1000

WAYS_OUT = (
    "Choose one: (1) run once with a network connection: torchvision keeps the file under "
    "TORCH_HOME; (2) copy torchvision's file into TORCH_HOME/hub/checkpoints; (3) give a "
    f"weights file (.safetensors or .pth, with a .json beside it) instead of "
    f"{TORCHVISION_WEIGHTS}, such as the one that `python -m drawings train` writes."
)


class Refused(ValueError):
    """The detector cannot work with this network; the message gives the reason."""


class WeightsError(ValueError):
    """The weights are unavailable or do not fit; the message says why and what to do."""


@dataclass(frozen=True)
class Classifier:
    """A network with everything needed to prepare its input and to read its output.

    Attributes:
        network: a network in evaluation mode; (B, 3, H, W) normalised images → (B, classes) logits.
        arch: name of the network, for `build_network`.
        classes: name of each output.
        input_size: side of the square images that it was trained on, px.
        mean, std: mean and deviation of red, green and blue in training, on a scale of [0, 1].
    """

    network: nn.Module
    arch: str
    classes: tuple[str, ...]
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def import_torchvision() -> ModuleType:
    """Import `torchvision.models`, even if torchvision's compiled operators do not fit torch.

    The torchvision wheel for Linux x86 is built for CUDA. With a CPU-only torch its library does
    not load, and the import fails because the operators `nms` and `qnms` are not declared.
    Classifiers need neither, so declare them here. A torchvision that works is left alone.
    """
    try:
        import torchvision.models
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            library.define(  # type: ignore[no-untyped-call]
                f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        # The declarations live as long as this object does.
        import_torchvision.library = library  # type: ignore[attr-defined]
        import torchvision.models
    return torchvision.models  # type: ignore[no-any-return]


# Side of the square that a network was trained on, px, if not 224.
INPUT_SIZES = {SMALL: 128, "inception_v3": 299}


def build_network(arch: str, classes: int) -> nn.Module:
    """Build a classifier with random weights, in evaluation mode.

    Args:
        arch: "small", or the name of a torchvision classifier.
        classes: number of outputs.

    Raises:
        Refused: torchvision has no classifier of that name, or the network is not built of ReLUs.
    """
    if arch == SMALL:
        return small_network(classes).eval()
    models = import_torchvision()
    builder = _classifiers(models).get(arch)
    if builder is None:
        raise Refused(
            f"expected {SMALL!r} or the name of a torchvision classifier, got {arch!r}; "
            f"for example vgg19, squeezenet1_1 or resnet18"
        )
    options: dict[str, Any] = {"weights": None, "num_classes": classes}
    if arch in ("googlenet", "inception_v3"):
        # Auxiliary outputs are only for training.
        options |= {"aux_logits": False, "init_weights": False}
    network: nn.Module = builder(**options)
    refusal = why_not_relu(network)
    if refusal:
        raise Refused(f"{arch} cannot be used: {refusal}")
    return network.eval()


def _build_empty(arch: str, classes: int) -> nn.Module:
    """Build a classifier without weights: drawing the 144 million of VGG-19 takes seconds."""
    with torch.device("meta"):
        return build_network(arch, classes)


def _classifiers(models: ModuleType) -> Mapping[str, Callable[..., nn.Module]]:
    """Return name → builder of torchvision's image classifiers (no detectors, videos, flows)."""
    return {name: models.get_model_builder(name) for name in models.list_models(module=models)}


def why_not_relu(network: nn.Module) -> str | None:
    """Return why guided backpropagation is undefined for a network; None if it is defined.

    It changes the backward pass of ReLU, so every non-linearity between input and logits must be a
    ReLU, except max pooling.
    """
    smooth = (
        nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.ELU, nn.LeakyReLU,
        nn.PReLU, nn.Softplus, nn.Mish, nn.CELU, nn.SELU, nn.ReLU6, nn.MultiheadAttention,
        nn.Softmax,
    )  # fmt: skip
    found = sorted({type(part).__name__ for part in network.modules() if isinstance(part, smooth)})
    if found:
        return (
            f"it holds {', '.join(found)}, and guided backpropagation is defined for ReLU alone; "
            f"choose a network of ReLU layers, such as vgg19, squeezenet1_1 or resnet18"
        )
    if not any(isinstance(part, nn.ReLU) for part in network.modules()) and not _calls_relu(
        network
    ):
        return "it has no ReLU layer, which guided backpropagation needs"
    return None


def _calls_relu(network: nn.Module) -> bool:
    """Return whether ReLU is called as a function, as GoogLeNet does."""
    functions = (torch.relu, torch.relu_, nn.functional.relu)
    return any(node.target in functions for node in fx.symbolic_trace(network).graph.nodes)


def load_classifier(arch: str | None = None, weights: str | None = None) -> Classifier:
    """Load a classifier, in evaluation mode.

    Args:
        arch: name of the network; None for the one that the weights' JSON names.
        weights: `IMAGENET1K_V1` (the default; torchvision downloads them once), or a file: a
            `.safetensors` or `.pth` state dict, with a JSON beside it that gives `arch`,
            `classes`, `input_size`, `mean` and `std`. Without the JSON, use the values of
            torchvision's ImageNet weights if the shapes fit.

    Raises:
        Refused: the network is not built of ReLU layers.
        WeightsError: the weights are unavailable or do not fit the network.
        FileNotFoundError, ValueError: from `resolve_model`.
    """
    arch, weights = resolve_model(arch, weights)
    if is_file_name(weights):
        return _load_file(arch, Path(weights))
    return _load_torchvision(arch)


def _load_torchvision(arch: str) -> Classifier:
    """Load torchvision's own weights, from its cache or by downloading them."""
    network = _build_empty(arch, IMAGENET_CLASSES)
    try:
        choice = import_torchvision().get_model_weights(arch)[TORCHVISION_WEIGHTS]
    except (ValueError, KeyError):
        raise WeightsError(
            f"torchvision has no {TORCHVISION_WEIGHTS} weights for {arch}: "
            f"give a weights file, or another architecture"
        ) from None
    try:
        state = choice.get_state_dict(progress=False, check_hash=True)
    except OSError as error:  # includes URLError and failures of sockets and of the disk
        raise WeightsError(
            f"could not get torchvision's weights for {arch}. Tried the cache in "
            f"{torch.hub.get_dir()}/checkpoints and a download from {choice.url}: {error}. "
            f"{WAYS_OUT}"
        ) from error
    _fill(network, state, f"torchvision's {TORCHVISION_WEIGHTS}")
    _expect_imagenet_normalisation(network)
    size = choice.transforms().crop_size[0]
    return Classifier(
        network, arch, tuple(choice.meta["categories"]), size, IMAGENET_MEAN, IMAGENET_STD
    )


def _expect_imagenet_normalisation(network: nn.Module) -> None:
    """Make GoogLeNet and Inception convert inputs to the scale that their weights expect."""
    if hasattr(network, "transform_input"):
        network.transform_input = True  # type: ignore[assignment]


def _load_file(arch: str, path: Path) -> Classifier:
    """Load a weights file with the JSON beside it, if there is one."""
    state = _read_state(path)
    facts = _read_facts(path)
    classes = facts.get("classes") or _imagenet_classes(arch, path)
    network = _build_empty(arch, len(classes))
    _fill(network, state, str(path))
    if not facts:
        _expect_imagenet_normalisation(network)
    return Classifier(
        network,
        arch,
        tuple(classes),
        int(facts.get("input_size", INPUT_SIZES.get(arch, 224))),
        _three(facts, "mean", IMAGENET_MEAN, path),
        _three(facts, "std", IMAGENET_STD, path),
    )


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict, without running any code that the file may contain."""
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is not a readable weights file: {error}") from error
    except Exception as error:  # pickle's own errors share no base class but Exception
        raise WeightsError(
            f"{path} holds more than tensors and is not loaded, because that could run code: "
            f"save only the state dict, with torch.save(network.state_dict(), path)"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(
            f"expected a state dict (name → tensor) in {path}, got {type(state).__name__}; "
            f"save it with torch.save(network.state_dict(), path)"
        )
    return state


def _read_facts(path: Path) -> dict[str, Any]:
    """Read the JSON beside a weights file; see `model.weights_files.read_sidecar`."""
    try:
        return read_sidecar(path)
    except ValueError as error:
        raise WeightsError(str(error)) from error


def _three(
    facts: Mapping[str, Any], name: str, otherwise: tuple[float, float, float], path: Path
) -> tuple[float, float, float]:
    values = facts.get(name, otherwise)
    if len(values) != 3:
        raise WeightsError(f"expected three numbers as {name} in {sidecar(path)}, got {values}")
    red, green, blue = map(float, values)
    return red, green, blue


def _imagenet_classes(arch: str, path: Path) -> list[str]:
    """Return the classes of torchvision's own weights, for a weights file without a JSON."""
    try:
        choice = import_torchvision().get_model_weights(arch)[TORCHVISION_WEIGHTS]
    except (ValueError, KeyError):
        raise WeightsError(
            f"expected {sidecar(path)} to name the classes of {path}: "
            f'{{"arch": "{arch}", "classes": ["...", "..."], "input_size": 224}}'
        ) from None
    return list(choice.meta["categories"])


def _fill(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict; ignore auxiliary outputs, which are only for training."""
    wanted = network.state_dict()
    state = {
        name: value for name, value in state.items() if not name.startswith(("aux", "AuxLogits"))
    }
    problems = [f"{name} is missing" for name in wanted if name not in state]
    problems += [f"{name} is unknown to it" for name in state if name not in wanted]
    problems += [
        f"{name} is {tuple(state[name].shape)}, not {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in state and state[name].shape != value.shape
    ]
    if problems:
        shown = "; ".join(problems[:3]) + (f" and {len(problems) - 3} more" if problems[3:] else "")
        raise WeightsError(
            f"the weights in {source} do not fit this network: {shown}. "
            f"Name the architecture and the classes that they belong to in the JSON beside them"
        )
    broken = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise WeightsError(f"the weights in {source} hold NaN or infinity, in {broken[0]}")
    full = {name: v.float() if v.is_floating_point() else v for name, v in state.items()}
    network.load_state_dict(full, assign=True)


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write weights (safetensors) and the JSON beside them; on failure, keep the existing files.

    Raises:
        ValueError: the name does not end in `.safetensors`.
        OSError: the folder is not writable, or the disk is full.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"expected a file name that ends in .safetensors, got {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "arch": classifier.arch,
        "classes": list(classifier.classes),
        "input_size": classifier.input_size,
        "mean": list(classifier.mean),
        "std": list(classifier.std),
    }
    state = {name: value.contiguous() for name, value in classifier.network.state_dict().items()}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
        weights = Path(folder) / path.name
        try:
            save_file(state, weights)
        except SafetensorError as error:  # safetensors raises this for a full disk
            raise OSError(f"could not write {path}, the old file is intact: {error}") from error
        sidecar(weights).write_text(json.dumps(facts, indent=1) + "\n")
        weights.replace(path)
        sidecar(weights).replace(sidecar(path))
