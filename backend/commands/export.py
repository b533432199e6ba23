"""`python -m backend export`: verdicts, statistics or final annotations for other tools."""

from pathlib import Path

import click

from backend.agreement.exports.content import ExportOptions
from backend.agreement.exports.formats import FORMATS, TABLES, ExportError
from backend.agreement.exports.formats import export as make_export
from backend.agreement.figures import measure_agreement
from backend.commands.command_line import refusing
from backend.commands.filter_options import filter_options
from backend.commands.open_database import open_database
from backend.commands.output_file import output_file
from backend.settings import Settings, load_settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters

OF_TABLES = [name for name, format_ in FORMATS.items() if format_.kinds == TABLES]


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    required=True,
    help=f"{', '.join(OF_TABLES)} contain verdicts or statistics, the others annotations.",
)
@click.option(
    "--what",
    type=click.Choice(TABLES),
    help=f"What {', '.join(OF_TABLES)} contain. Default: {TABLES[0]}.",
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
    if format_ not in OF_TABLES and what is not None:
        raise click.UsageError(
            f"--what belongs to {', '.join(OF_TABLES)}: leave it out for {format_}"
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
