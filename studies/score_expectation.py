"""The command `python -m studies score-expectation`: what scores are expected to look like."""

from pathlib import Path

import click
from tqdm import tqdm

from model.commands.classifier_options import classifier_options
from model.naming.features import FeatureExtractor
from model.networks import load_classifier
from model.weights_files import resolve_model, weights_fingerprint
from studies.data_options import AT_LEAST_ONE, cache_option, parse_names
from studies.requirements import development_requirements


@click.command()
@click.option(
    "--data",
    "folders",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    multiple=True,
    metavar="DIR",
    help="Folder with annotations.csv; its split train is used. May be repeated.",
)
@click.option("--without", type=parse_names, default="", help="Classes that are left out.")
@click.option("--repeats", type=AT_LEAST_ONE, default=4, show_default=True,
              help="Sequences of each class, and as many again of all classes.")  # fmt: skip
@classifier_options
@cache_option
def score_expectation(
    folders: tuple[Path, ...],
    without: tuple[str, ...],
    repeats: int,
    arch: str | None,
    weights: str | None,
    cache: Path,
) -> None:
    """Print the constants of model/naming/expectation.py, learnt from annotated images."""
    with development_requirements():
        from studies.naming.cases import read_cases
        from studies.naming.score_expectation import as_code, expectation, found_in, sequences
    classifier = load_classifier(arch, weights)
    extractor = FeatureExtractor(classifier, weights_fingerprint(resolve_model(arch, weights)[1]))
    found = []
    for folder in folders:
        cases = read_cases(folder, "train", extractor, cache)
        examples = [case.example for case in cases if case.example.group not in without]
        for sequence in tqdm(list(sequences(examples, repeats)), desc=folder.name):
            found += found_in(sequence)
    print(as_code(expectation(found)))
