"""The command `python -m studies work-saved`: what suggestions learnt from corrections save."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import torch
from tqdm import tqdm

from model.commands.classifier_options import classifier_options
from model.decoding import read
from model.detector import Detector
from model.keypoint import Keypoint
from model.naming.features import FeatureExtractor
from model.networks import Classifier, build_network, load_classifier
from model.weights_files import resolve_model, weights_fingerprint
from studies.data_options import AT_LEAST_ONE, cache_option, data_option, parse_counts
from studies.requirements import development_requirements

if TYPE_CHECKING:  # these need the libraries of requirements-dev.txt
    from studies.naming.accuracy import Row
    from studies.naming.cases import Case
    from studies.naming.interactive import Session
    from studies.naming.sequence import Suggested

UNNAMED_POINTS = 20


@click.command()
@data_option("Folder with annotations.csv; its split train is corrected and learnt.")
@click.option("--test-split", default="test", show_default=True, help="Measure accuracy on it.")
@click.option("--train-split", default="train", show_default=True, help="Correct and learn it.")
@classifier_options
@cache_option
@click.option("--whole-image", is_flag=True, help="Give no box.")
@click.option("--per-class", type=parse_counts, default="1,3,5,10,20", show_default=True)
@click.option("--pooled", type=parse_counts, default="10,50,100,200", show_default=True)
@click.option("--draws", type=AT_LEAST_ONE, default=3, show_default=True)
@click.option("--length", type=click.IntRange(min=0), default=200, show_default=True,
              help="Images in a sequence; 0 for no sequence.")  # fmt: skip
@click.option("--sequences", type=AT_LEAST_ONE, default=3, show_default=True)
@click.option("--one-placed", type=parse_counts, default="",
              help="Corrected images of a class before annotating interactively.")  # fmt: skip
@click.option("--one-placed-pooled", type=parse_counts, default="",
              help="Corrected images of all classes before annotating interactively.")  # fmt: skip
@click.option("--one-placed-images", type=AT_LEAST_ONE, default=60, show_default=True,
              help="Annotate so many test images interactively a draw.")  # fmt: skip
@click.option("--controls/--no-controls", default=True, show_default=True)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Put the tables between the data set's markers in this page, and plots beside it.",
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a row for each image, draw and method.")  # fmt: skip
def work_saved(
    data: Path,
    test_split: str,
    train_split: str,
    arch: str | None,
    weights: str | None,
    cache: Path,
    whole_image: bool,
    per_class: tuple[int, ...],
    pooled: tuple[int, ...],
    draws: int,
    length: int,
    sequences: int,
    one_placed: tuple[int, ...],
    one_placed_pooled: tuple[int, ...],
    one_placed_images: int,
    controls: bool,
    report: Path | None,
    csv_file: Path | None,
) -> None:
    """Annotate a data set in sequence, correct, learn, and report what suggestions save."""
    with development_requirements():
        from studies.naming import report as pages
        from studies.naming.accuracy import PER_CLASS, POOLED, Method, measure
        from studies.naming.cases import read_cases
        from studies.naming.controls import (
            detected_points,
            mean_position,
            nearest_layout,
            with_features_of,
        )
        from studies.naming.interactive import measure_interactive
        from studies.naming.learners import named
        from studies.naming.sequence import simulate
        from studies.naming.tables import interactive_table
    classifier = load_classifier(arch, weights)
    extractor = FeatureExtractor(classifier, weights_fingerprint(resolve_model(arch, weights)[1]))
    train, test = (
        read_cases(data, split, extractor, cache, boxed=not whole_image)
        for split in (train_split, test_split)
    )
    methods: dict[str, Method] = {"named": named}
    unnamed: dict[str, Sequence[Keypoint]] = {}
    if controls:
        unnamed = detect([*train, *test], classifier, extractor.key, cache)
        methods |= {"mean position": mean_position, "nearest layout": nearest_layout}
        if not whole_image:  # in whole images, each method would look at other parts
            random = FeatureExtractor(randomised(classifier), "random")
            others = [
                case
                for split in (train_split, test_split)
                for case in read_cases(data, split, random, cache)
            ]
            features = {case.example.name: case for case in others}
            methods["random features"] = with_features_of(features)
        methods["detected points"] = detected_points(unnamed)
    rows: list[Row] = []
    for setting, counts in ((PER_CLASS, per_class), (POOLED, pooled)):
        for count in tqdm(counts, desc=setting):
            rows += measure(train, test, methods, setting, count, draws)
    suggested: list[Suggested] = []
    if length:
        suggested = simulate(train, min(length, len(train)), sequences, unnamed)
    sessions: list[Session] = []
    for setting, counts in ((PER_CLASS, one_placed), (POOLED, one_placed_pooled)):
        for count in tqdm(counts, desc=f"one placed, {setting}"):
            sessions += measure_interactive(train, test, setting, count, draws, one_placed_images)
    name = data.name + (", whole images" if whole_image else "")
    page = pages.markdown(rows, suggested)
    print(page)
    if sessions:
        print(interactive_table(sessions))
    if csv_file:
        pages.write_csv(rows, csv_file)
    if report and (rows or suggested):
        pages.publish(report, name, page, rows, suggested)
    if report and sessions:
        pages.put_section(report, f"{name}, one placed", interactive_table(sessions))


def randomised(classifier: Classifier) -> Classifier:
    """Return the same network with random weights, always the same ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(classifier.arch, len(classifier.classes))
    return Classifier(
        network,
        classifier.arch,
        classifier.classes,
        classifier.input_size,
        classifier.mean,
        classifier.std,
    )


def detect(
    cases: Sequence[Case], classifier: Classifier, key: str, cache: Path
) -> dict[str, Sequence[Keypoint]]:
    """Return name → the best points of the detector's default, kept in the cache."""
    detector = Detector(classifier)
    found: dict[str, Sequence[Keypoint]] = {}
    for case in tqdm(cases, desc="detect", leave=False):
        box = case.example.box
        told = f"points {key} {case.annotated.path} {box}"
        path = cache / f"{hashlib.sha256(told.encode()).hexdigest()}.json"
        if not path.exists():
            points = detector.detect(read(case.annotated.path), box).keypoints[:UNNAMED_POINTS]
            path.write_text(json.dumps([[p.x, p.y, p.score, p.label] for p in points]))
        found[case.example.name] = [Keypoint(*point) for point in json.loads(path.read_text())]
    return found
