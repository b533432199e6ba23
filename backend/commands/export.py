"""`python -m backend export`: verdicts, statistics or final annotations for other tools."""

from pathlib import Path

import click

from backend.agreement.export import ExportError
from backend.agreement.export import export as make_export
from backend.agreement.figures import measure_agreement
from backend.agreement.queries import AgreementQueries
from backend.commands.command_line import refusing
from backend.commands.filter_options import filter_options
from backend.commands.open_database import open_database
from backend.commands.output_file import output_file
from backend.settings import Settings, load_settings
from backend.verdicts.recording import Recorder
from backend.verdicts.records import Filters


@click.command()
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "json", "parquet", "coco"]),
    required=True,
    help="coco contains the final annotations.",
)
@click.option(
    "--what",
    type=click.Choice(["verdicts", "statistics"]),
    help="What csv, json and parquet contain. Default: verdicts.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write. Default: standard output.",
)
@filter_options
def export(format_: str, what: str | None, out: Path | None, filters: Filters) -> int:
    """Write verdicts, statistics or annotations for other tools."""
    if format_ == "coco" and what is not None:
        raise click.UsageError("--what belongs to csv, json and parquet: leave it out for coco")
    with refusing(ExportError):
        write_export(load_settings(), format_, what, out, filters)
    return 0


def write_export(
    settings: Settings, format_: str, what: str | None, out: Path | None, filters: Filters
) -> None:
    """Stream an export to a file, or to standard output if `out` is None.

    Raises:
        ExportError: the format does not have what was asked for.
        DatabaseUnusable, OutputNotWritable: the database or the file cannot be used.
    """
    with open_database(settings) as database:
        Recorder(settings, database).drain()
        made = make_export(
            AgreementQueries(database),
            format_,
            what,
            filters,
            lambda: measure_agreement(database, filters).as_json(),
        )
        with output_file(out) as file:
            for piece in made.pieces:
                file.write(piece)
