"""`python -m backend export`: verdicts, statistics or final annotations for other tools."""

from collections.abc import Sequence
from pathlib import Path

import click

from backend.agreement.exports.content import ExportOptions
from backend.agreement.exports.formats import FORMATS, ExportError
from backend.agreement.exports.formats import export as make_export
from backend.agreement.figures import measure_agreement
from backend.commands.command_line import refusing
from backend.commands.filter_options import filter_options
from backend.commands.open_database import open_database
from backend.commands.output_file import output_file
from backend.settings import Settings, load_settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters

# Formats of tables have a choice of contents; the others hold the annotations.
WITH_CHOICE = [name for name, each in FORMATS.items() if len(each.kinds) > 1]
WITHOUT_CHOICE = [name for name in FORMATS if name not in WITH_CHOICE]
CHOICES = list(dict.fromkeys(kind for name in WITH_CHOICE for kind in FORMATS[name].kinds))


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    required=True,
    help=f"Tables: {_listed(WITH_CHOICE)}. Annotations: {_listed(WITHOUT_CHOICE)}.",
)
@click.option(
    "--what",
    type=click.Choice(CHOICES),
    help=f"Content of {_listed(WITH_CHOICE)}. Default: {CHOICES[0]}.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write. Default: standard output.",
)
@click.option(
    "--one-per-image",
    is_flag=True,
    help="Of each image only the annotation changed last; with --annotator, that annotator's.",
)
@click.option(
    "--excel", is_flag=True, help="Escape text that a spreadsheet takes for a formula; csv only."
)
@filter_options
def export(
    format_: str,
    what: str | None,
    out: Path | None,
    one_per_image: bool,
    excel: bool,
    filters: Filters,
) -> int:
    """Write verdicts, statistics or annotations for other tools."""
    if what is not None and format_ not in WITH_CHOICE:
        raise click.UsageError(
            f"--what belongs to {_listed(WITH_CHOICE)}: leave it out for {format_}"
        )
    options = ExportOptions(one_per_image, excel)
    with refusing(ExportError):
        write_export(load_settings(), format_, what, out, filters, options)
    return 0


def write_export(
    settings: Settings,
    format_: str,
    what: str | None,
    out: Path | None,
    filters: Filters,
    options: ExportOptions,
) -> None:
    """Stream an export to a file, or to standard output if `out` is None.

    Raises:
        ExportError: the format does not have what was asked for, or does not know an option.
        DatabaseUnusable, OutputNotWritable: the database or the file cannot be used.
    """
    with open_database(settings) as database:
        Recorder(settings, database).drain()
        made = make_export(
            database,
            format_,
            what,
            filters,
            lambda: measure_agreement(database, filters).as_json(),
            options,
        )
        with output_file(out) as file:
            for piece in made.pieces:
                file.write(piece)
