"""The command `python -m studies annotation-order`: does the order of annotation save images?"""

from pathlib import Path

import click

from model.commands.classifier_options import classifier_options
from model.naming.features import FeatureExtractor
from model.naming.symmetry import mirrored_name
from model.networks import load_classifier
from model.weights_files import resolve_model, weights_fingerprint
from studies.data_options import AT_LEAST_ONE, cache_option, data_option, parse_counts, parse_names
from studies.marked_section import around, put_into
from studies.requirements import development_requirements


@click.command()
@data_option("Folder with annotations.csv; its split train is annotated.")
@click.option(
    "--test-split",
    default="test",
    show_default=True,
    help="Measure on it; with train, on a third of its images, others in each draw.",
)
@classifier_options
@cache_option
@click.option("--classes", type=parse_names, default="", help="Of these alone; all if empty.")
@click.option("--setting", type=click.Choice(["pooled", "per class"]), default="pooled",
              show_default=True)  # fmt: skip
@click.option("--counts", type=parse_counts, default="6,12,24", show_default=True,
              help="Annotated images, each above three.")  # fmt: skip
@click.option("--rules", type=parse_names, default="", help="Orders besides random; all if empty.")
@click.option("--draws", type=AT_LEAST_ONE, default=6, show_default=True)
@click.option("--costly-draws", type=AT_LEAST_ONE, default=6, show_default=True,
              help="Draws of orders that look for suggestions in the pool.")  # fmt: skip
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Put the tables between the marks in this page.",
)
@click.option("--section", default="by annotation-order", show_default=True,
              help="What the marks in the page say.")  # fmt: skip
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a row for each order, draw and count, as they come.")  # fmt: skip
def annotation_order(
    data: Path,
    test_split: str,
    arch: str | None,
    weights: str | None,
    cache: Path,
    classes: tuple[str, ...],
    setting: str,
    counts: tuple[int, ...],
    rules: tuple[str, ...],
    draws: int,
    costly_draws: int,
    report: Path | None,
    section: str,
    csv_file: Path | None,
) -> None:
    """Annotate a data set in several orders, and report which finds more with as many images."""
    with development_requirements():
        from studies.naming.cases import read_cases
        from studies.naming.order_tables import order_page, written
        from studies.naming.ordering import COSTLY, FIRST, RANDOM, RULES, measure_orders
    unknown = [name for name in rules if name not in RULES]
    if unknown:
        raise click.BadParameter(f"expected some of {', '.join(RULES)}, got {unknown[0]!r}")
    if list(counts) != sorted(set(counts)) or not counts or counts[0] <= FIRST:
        raise click.BadParameter(f"expected ascending numbers above {FIRST}, got {counts}")
    if report:
        around(report, section)  # before the long work: are there marks?
    classifier = load_classifier(arch, weights)
    extractor = FeatureExtractor(classifier, weights_fingerprint(resolve_model(arch, weights)[1]))
    train, test = (
        [
            case
            for case in read_cases(data, split, extractor, cache)
            if not classes or case.example.group in classes
        ]
        for split in ("train", test_split)
    )
    labels = {label for case in train for label in (*case.example.points, *case.example.absent)}
    rows = measure_orders(
        train,
        None if test_split == "train" else test,
        setting,
        counts,
        {
            rule: min(draws, costly_draws) if rule in COSTLY else draws
            for rule in (RANDOM, *(rules or [name for name in RULES if name != RANDOM]))
        },
        names_sides=any(mirrored_name(label) != label for label in labels),
    )
    page = order_page(list(written(rows, csv_file) if csv_file else rows))
    print(page)
    if report:
        put_into(report, page, section)
