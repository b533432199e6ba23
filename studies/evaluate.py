"""The command `python -m model evaluate`: how good the keypoints are on annotated images."""

import argparse
import ast
import importlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from model.networks import Classifier, load_classifier
from model.settings import PRESETS, DetectorSettings, sidecar

QUICK = {"images": 4, "slow_images": 1, "repeated_images": 1, "fill_images": 1, "draws": 200}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="test", help="default test")
    parser.add_argument("--arch", help="torchvision classifier of ReLU layers, or small")
    parser.add_argument("--weights", help="IMAGENET1K_V1 (default) or a weights file")
    parser.add_argument(
        "--shuffled-weights",
        metavar="FILE",
        help="weights of the same network trained with shuffled labels, as a control",
    )
    parser.add_argument(
        "--presets",
        default="poster,default",
        type=parse_presets,
        metavar="NAMES",
        help=f"of {', '.join(PRESETS)}; default poster,default",
    )
    parser.add_argument(
        "--variant",
        dest="variants",
        action="append",
        default=[],
        type=parse_variant,
        metavar="PRESET:NAME=VALUE,...",
        help="also a preset with other settings, such as default:activation_stride=8; any number",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write Markdown, CSV and plots")
    parser.add_argument("--images", type=int, metavar="N", help="at most N images, spread evenly")
    parser.add_argument(
        "--slow-images", type=int, metavar="N", help="methods with an occlusion map on N images"
    )
    parser.add_argument("--repeated-images", type=int, default=20, metavar="N", help="default 20")
    parser.add_argument(
        "--fill-images", type=int, default=8, metavar="N", help="under other fills; default 8"
    )
    parser.add_argument("--draws", type=int, default=10_000, metavar="N", help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--quick", action="store_true", help=f"a trial: {QUICK}")


def parse_presets(text: str) -> tuple[str, ...]:
    """Read names of presets, separated by commas."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in PRESETS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(PRESETS)}, got {text!r}")
    return names


def parse_variant(text: str) -> tuple[str, DetectorSettings]:
    """Read a preset and what is different about it; its name is the text itself."""
    preset, _, changes = text.partition(":")
    try:
        pairs = dict(part.strip().split("=") for part in changes.split(","))
        return text, replace(PRESETS[preset], **{name: _value(pairs[name]) for name in pairs})
    except (KeyError, TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"expected a preset and settings, such as default:activation_stride=8, got {text!r}: "
            f"{error}"
        ) from error


def _value(text: str) -> Any:
    """A number, True, False or None where the text is one; else the text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the tables and write what was asked for."""
    try:
        runner = importlib.import_module("studies.evaluation.runner")
        report = importlib.import_module("studies.evaluation.report")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"evaluating needs {error.name}: pip install -r requirements-dev.txt"
        ) from error
    datasets = importlib.import_module("studies.evaluation.datasets")
    if arguments.quick:
        vars(arguments).update(QUICK)
    images = datasets.spread(
        datasets.read_data_set(arguments.data, arguments.split), arguments.images
    )
    classifier = load_classifier(arguments.arch, arguments.weights)
    shuffled = _control(arguments.shuffled_weights, classifier)
    _spare_the_weights(arguments)
    # What cannot be written is said before the work, not after it.
    for folder in (arguments.out, arguments.json and arguments.json.parent):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    options = runner.Options(
        slow_images=arguments.slow_images,
        repeated_images=arguments.repeated_images,
        fill_images=arguments.fill_images,
        draws=arguments.draws,
        seed=arguments.seed,
    )
    presets = {name: PRESETS[name] for name in arguments.presets}
    outcome = runner.run(
        images, classifier, presets, options, variants=dict(arguments.variants), shuffled=shuffled
    )
    page = report.markdown(outcome, options, arguments.presets)
    print(page)
    if arguments.out:
        report.write_csv(outcome, arguments.out / "images.csv")
    if arguments.json:
        about = {
            "data": arguments.data.name,
            "split": arguments.split,
            "arch": classifier.arch,
            "weights": Path(arguments.weights or "").name,
            "presets": {name: asdict(settings) for name, settings in presets.items()},
        }
        report.write_json(report.facts(outcome, options, about), arguments.json)
    if arguments.out:
        (arguments.out / "evaluation.md").write_text(page, encoding="utf-8")
        for where, values in outcome.values.items():
            report.plot(values, where, arguments.out, draws=options.draws, seed=options.seed)
    return 0


def _spare_the_weights(arguments: argparse.Namespace) -> None:
    """Refuse to write the outcome over the JSON that describes a weights file."""
    for weights in (arguments.weights, arguments.shuffled_weights):
        if (
            weights
            and arguments.json
            and sidecar(Path(weights)).resolve() == (arguments.json.resolve())
        ):
            raise ValueError(
                f"expected another file as --json: {arguments.json} describes the weights {weights}"
            )


def _control(weights: str | None, classifier: Classifier) -> Classifier | None:
    """The network trained with shuffled labels; it differs in its weights alone."""
    if weights is None:
        return None
    control = load_classifier(None, weights)
    if (control.arch, control.classes) != (classifier.arch, classifier.classes):
        raise ValueError(
            f"expected a {classifier.arch} of the {len(classifier.classes)} classes of --weights "
            f"as --shuffled-weights, got a {control.arch} of {len(control.classes)}: train both "
            f"on the same images, the control with --shuffle-labels"
        )
    return control
