"""The command `python -m studies evaluate`: how good the keypoints are on annotated images."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from model.commands.classifier_options import classifier_options
from model.networks import Classifier, load_classifier
from model.settings import PRESETS, DetectorSettings
from model.weights_files import sidecar
from studies.data_options import AT_LEAST_ONE, data_options
from studies.requirements import development_requirements

if TYPE_CHECKING:  # these need the libraries of requirements-dev.txt
    from studies.evaluation.runner import Options, Outcome

# What --quick sets.
QUICK_IMAGES = 4
QUICK = {"slow_images": 1, "repeated_images": 1, "fill_images": 1, "draws": 200}


def parse_presets(text: str) -> tuple[str, ...]:
    """Read names of presets, separated by commas.

    Raises:
        ValueError: a name is unknown, or there is none.
    """
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in PRESETS]
    if unknown or not names:
        raise ValueError(f"expected some of {', '.join(PRESETS)}, got {text!r}")
    return names


def parse_variant(text: str) -> tuple[str, DetectorSettings]:
    """Read a preset with changed settings, such as "default:activation_stride=8".

    Returns:
        The text itself as the variant's name, and its settings.

    Raises:
        ValueError: the preset or a setting is unknown, or a value is out of range.
    """
    preset, _, changes = text.partition(":")
    try:
        pairs = dict(part.strip().split("=") for part in changes.split(","))
        return text, replace(PRESETS[preset], **{name: _value(pairs[name]) for name in pairs})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"expected a preset and settings, such as default:activation_stride=8, got {text!r}: "
            f"{error}"
        ) from error


def _value(text: str) -> Any:
    """Return the number, True, False or None that the text spells, else the text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


@click.command()
@data_options
@classifier_options
@click.option(
    "--shuffled-weights",
    metavar="FILE",
    help="Weights of the same network trained on shuffled labels, as a control.",
)
@click.option(
    "--presets",
    type=parse_presets,
    default="poster,default",
    show_default=True,
    metavar="NAMES",
    help=f"Presets to measure, separated by commas: {', '.join(PRESETS)}.",
)
@click.option(
    "--variant",
    "variants",
    type=parse_variant,
    multiple=True,
    metavar="PRESET:NAME=VALUE,...",
    help="Also measure a preset with other settings, such as default:activation_stride=8; "
    "may be repeated.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write every figure to this file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write Markdown, CSV and plots to this folder.",
)
@click.option(
    "--slow-images",
    type=AT_LEAST_ONE,
    metavar="N",
    help="Run the methods with an occlusion map on N images only.",
)
@click.option(
    "--repeated-images",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="Measure repeatability on N images.",
)
@click.option(
    "--fill-images",
    type=AT_LEAST_ONE,
    default=8,
    show_default=True,
    metavar="N",
    help="Compare occlusion maps under other random fills on N images.",
)
@click.option(
    "--draws",
    type=AT_LEAST_ONE,
    default=10_000,
    show_default=True,
    metavar="N",
    help="Draws of the bootstrap.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N")
@click.option(
    "--quick",
    is_flag=True,
    help=f"A trial: {QUICK_IMAGES} images, {QUICK['draws']} draws, one image for everything slow.",
)
def evaluate(
    data: Path,
    split: str,
    images: int | None,
    arch: str | None,
    weights: str | None,
    shuffled_weights: str | None,
    presets: tuple[str, ...],
    variants: tuple[tuple[str, DetectorSettings], ...],
    json_file: Path | None,
    out: Path | None,
    slow_images: int | None,
    repeated_images: int,
    fill_images: int,
    draws: int,
    seed: int,
    quick: bool,
) -> None:
    """Measure keypoints against annotated landmarks and print the tables."""
    with development_requirements():
        from studies.evaluation.datasets import read_data_set, spread
        from studies.evaluation.runner import Options, run
    options = Options(slow_images, repeated_images, fill_images, draws, seed)
    if quick:
        images, options = QUICK_IMAGES, replace(options, **QUICK)
    areas = spread(read_data_set(data, split), images)
    classifier = load_classifier(arch, weights)
    control = load_control(shuffled_weights, classifier) if shuffled_weights else None
    refuse_to_overwrite(json_file, (weights, shuffled_weights))
    # A folder that cannot be made has to stop the command before the work, not after it.
    for folder in (out, json_file and json_file.parent):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    settings = {name: PRESETS[name] for name in presets}
    outcome = run(areas, classifier, settings, options, variants=dict(variants), shuffled=control)
    about = {
        "data": data.name,
        "split": split,
        "arch": classifier.arch,
        "weights": Path(weights or "").name,
        "presets": {name: asdict(preset) for name, preset in settings.items()},
    }
    publish(outcome, options, presets, about, json_file=json_file, out=out)


def publish(
    outcome: Outcome,
    options: Options,
    presets: Sequence[str],
    about: Mapping[str, object],
    *,
    json_file: Path | None,
    out: Path | None,
) -> None:
    """Print the tables and write the requested files.

    Args:
        about: what was measured, to head the JSON.
        json_file: file for every figure; None for no such file.
        out: existing folder for Markdown, CSV and plots; None for no such files.
    """
    from studies.evaluation import report

    page = report.markdown(outcome, options, presets)
    print(page)
    if json_file:
        report.write_json(report.facts(outcome, options, about), json_file)
    if out:
        report.write_csv(outcome, out / "images.csv")
        (out / "evaluation.md").write_text(page, encoding="utf-8")
        for where, values in outcome.values.items():
            report.plot(values, where, out, draws=options.draws, seed=options.seed)


def refuse_to_overwrite(json_file: Path | None, weights_files: Sequence[str | None]) -> None:
    """Raise ValueError if `json_file` is the JSON that describes one of the weights files."""
    for weights in weights_files:
        if weights and json_file and sidecar(Path(weights)).resolve() == json_file.resolve():
            raise ValueError(
                f"expected another file as --json: {json_file} describes the weights {weights}"
            )


def load_control(weights: str, classifier: Classifier) -> Classifier:
    """Load the network trained on shuffled labels, which differs from `classifier` in weights only.

    Raises:
        ValueError: it has another architecture or other classes.
    """
    control = load_classifier(None, weights)
    if (control.arch, control.classes) != (classifier.arch, classifier.classes):
        raise ValueError(
            f"expected a {classifier.arch} of the {len(classifier.classes)} classes of --weights "
            f"as --shuffled-weights, got a {control.arch} of {len(control.classes)}: train both "
            f"on the same images, the control with --shuffle-labels"
        )
    return control
